"""What runs an image: SageMaker names container images, we run their contract in an environment of our own.

An image is known by its repository's name, whatever the account and region in its URI; its tag chooses the contract, and
the library version that really runs is told in the log. One file beside this one is one runtime (attribute `RUNTIME`).
Also imported inside jobs, by the toolkit: keep it light.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from colonnade.kernel.errors import ServiceError, validation

_NAME = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
SERVER = "COLONNADE_SERVER"
"""In a container's Environment: the program, below the model's `code` folder, that is its HTTP server."""


@dataclass(frozen=True, slots=True)
class Image:
    """The parts of an image URI that mean something here.

    >>> image = Image.parse("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3")
    >>> image.repository, image.version, image.python, image.processor
    ('sagemaker-scikit-learn', '1.2', '3', 'cpu')
    """

    uri: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, uri: str) -> Image:
        """Raises ValidationException for what is no image URI."""
        match = re.fullmatch(
            rf"(?:[^/]+[.:][^/]*/)?({_NAME}(?:/{_NAME})*)(?::(\w[\w.-]*))?(?:@sha256:\w+)?", uri
        )
        if match is None:
            raise validation(
                f"Invalid image URI {uri}. Please provide a valid Amazon Elastic Container Registry path."
            )
        return cls(uri, match[1], match[2] or "latest")

    @property
    def version(self) -> str:
        """The framework's version; empty for `latest`."""
        match = re.match(r"\d+(\.\d+)*", self.tag)
        return match[0] if match else ""

    @property
    def python(self) -> str:
        """Its digits in the tag: `3` of `py3`, `311` of `py311`; empty where the tag does not say."""
        match = re.search(r"\bpy(\d+)", self.tag)
        return match[1] if match else ""

    @property
    def processor(self) -> str:
        return "gpu" if re.search(r"\bgpu\b", self.tag) else "cpu"


@dataclass(frozen=True, slots=True)
class Training:
    """How an image trains."""

    command: Sequence[str]
    metrics: Sequence[tuple[str, str]] = ()
    """The algorithm's own definitions, which a request may not replace; empty for user code."""


@dataclass(frozen=True, slots=True)
class Runtime:
    name: str
    """Also the environment's name, and that of its serving handlers."""
    repositories: tuple[str, ...]
    libraries: tuple[str, ...]
    """Whose versions the log tells."""
    framework_module: str
    """SM_FRAMEWORK_MODULE."""
    loads_models: bool = False
    """Whether its handlers load a model of its library without any code of the user's."""
    algorithm: str = ""
    """The built-in algorithm that trains when the request names no program; empty: a program is required."""

    def training(
        self, image: Image, hyperparameters: Mapping[str, str], variables: Mapping[str, str]
    ) -> Training:
        command = ["python", "-m", "colonnade.runtimes.toolkit", self.name, image.tag]
        if not self.algorithm or has_program(hyperparameters, variables):
            return Training([*command, "script"])
        from colonnade import algorithms

        found = [(metric.name, metric.regex) for metric in algorithms.load(self.algorithm).metrics]
        return Training([*command, "algorithm"], found)


def has_program(hyperparameters: Mapping[str, str], variables: Mapping[str, str]) -> bool:
    """Whether script mode is asked for."""
    return bool(variables.get("SAGEMAKER_PROGRAM") or hyperparameters.get("sagemaker_program", "").strip('"'))


@cache
def registered() -> Mapping[str, Runtime]:
    """Every runtime, by name."""
    names = [module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg]
    modules = [importlib.import_module(f"{__name__}.{name}") for name in sorted(names)]
    return {module.RUNTIME.name: module.RUNTIME for module in modules if hasattr(module, "RUNTIME")}


def find(uri: str) -> Runtime:
    """Raises ValidationException, naming what can run, for an image that nothing here runs."""
    repository = Image.parse(uri).repository
    for runtime in registered().values():
        if repository in runtime.repositories:
            return runtime
    raise unknown_image(uri)


def serving(uri: str, environment: Mapping[str, str]) -> Runtime:
    """What serves a container: its own HTTP server where the environment names one, else what the image stands for. Raises
    ValidationException."""
    if environment.get(SERVER):
        Image.parse(uri)
        return registered()["http-server"]
    try:
        return find(uri)
    except ServiceError as error:
        raise validation(
            f"{error.message} To serve with a server of your own, pack it into the model's archive as code/<program> and name "
            f"the program in the container's Environment as {SERVER}."
        ) from None


def unknown_image(uri: str) -> ServiceError:
    known = sorted(name for runtime in registered().values() for name in runtime.repositories)
    return validation(
        f"Colonnade cannot run the image {uri}: it knows the repositories {', '.join(known)} (of any account, region and tag)."
    )
