"""The run of one algorithm inside its job's process: validate, train, and end so that the platform understands.

Exit 0 means completed. Otherwise output/failure holds the reason with its category: `ClientError:` for what the user
can mend, `AlgorithmError:` for faults of ours.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from colonnade.algorithms.contract import UserError, channels, hyperparameters
from colonnade.algorithms.contract.channels import ChannelConfig
from colonnade.algorithms.contract.folder import Folder
from colonnade.algorithms.contract.hyperparameters import Values
from colonnade.formats import FormatError

if TYPE_CHECKING:
    from colonnade.algorithms import Algorithm

_ENDED_BY_SIGTERM = 128 + signal.SIGTERM


@dataclass
class Job:
    """What `train` is given."""

    folder: Folder
    values: Values
    channels: Mapping[str, ChannelConfig]
    saves_on_termination: bool = False
    """Set by an algorithm that ends by itself, model saved, soon after `terminating`. Others end at once."""
    terminating: threading.Event = field(default_factory=threading.Event)


def run(algorithm: Algorithm, base: Path) -> int:
    """Train on the folder at `base`; the process's exit code."""
    folder = Folder(base)
    try:
        job = prepare(algorithm, folder)
        signal.signal(signal.SIGTERM, lambda number, frame: _terminate(job, number, frame))
        algorithm.train(job)
    except (UserError, FormatError) as error:
        return _failed(folder, f"ClientError: {error}")
    except Exception as error:  # noqa: BLE001 - the last chance to tell the platform why the job failed
        traceback.print_exc()
        return _failed(folder, f"AlgorithmError: {type(error).__name__}: {error}")
    return 0


def prepare(algorithm: Algorithm, folder: Folder) -> Job:
    values = hyperparameters.validate(algorithm.hyperparameters, folder.hyperparameters())
    algorithm.check(values)
    given = folder.channels()
    channels.validate(algorithm.channels, given)
    return Job(folder, values, given)


def _failed(folder: Folder, reason: str) -> int:
    print(reason, file=sys.stderr, flush=True)
    folder.fail(reason)
    return 1


def _terminate(job: Job, number: int, frame: FrameType | None) -> None:
    job.terminating.set()
    if not job.saves_on_termination:
        # No flush: the signal may have come in the middle of a print, whose buffer must not be entered twice. Lines are
        # flushed as they are printed.
        os._exit(_ENDED_BY_SIGTERM)
