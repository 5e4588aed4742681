"""The family of built-in algorithms: SageMaker's names, hyperparameters and files, real libraries underneath.

The platform reads an algorithm's data (to validate a CreateTrainingJob, to tune, to collect metrics); the job's own
process runs `python -m colonnade.algorithms <name>`. One file or folder beside `contract/` is one algorithm, found by
its name; nothing else has to know it. Importing one is cheap: heavy libraries load inside `train` only.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Protocol, cast, runtime_checkable

from colonnade.algorithms.contract.channels import Channel
from colonnade.algorithms.contract.hyperparameters import Hyperparameter, Values
from colonnade.algorithms.contract.job import Job
from colonnade.algorithms.contract.metrics import Metric

__all__ = ["Algorithm", "Channel", "Hyperparameter", "Job", "Metric", "load", "names"]


@runtime_checkable
class Algorithm(Protocol):
    """What a module of this folder promises. The data never changes while the process lives."""

    hyperparameters: tuple[Hyperparameter, ...]
    channels: tuple[Channel, ...]
    metrics: tuple[Metric, ...]

    @staticmethod
    def check(values: Values) -> None:
        """Raise UserError for values that are right one by one and wrong together. Reads nothing, imports nothing heavy."""
        ...

    @staticmethod
    def train(job: Job) -> None:
        """Train on the job's folder; return when the model is in `job.folder.model`.

        Called once in a process of its own, hyperparameters and channels already validated. Raises UserError or
        FormatError for what the user can mend, anything else for faults of ours. After a kill it may be called again
        on the same checkpoints and continues from them.
        """
        ...


def names() -> list[str]:
    """Every algorithm there is, by its public name."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name.replace("_", "-") for name in modules if name not in ("contract", "__main__"))


def load(name: str) -> Algorithm:
    """The algorithm called `name` (`xgboost`, `linear-learner`). LookupError when there is none."""
    if name not in names():
        raise LookupError(f"No built-in algorithm '{name}'. There are: {', '.join(names())}.")
    return cast(Algorithm, importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))
