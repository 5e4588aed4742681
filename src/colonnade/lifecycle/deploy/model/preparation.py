"""From a model's container to what its instances hold: model data fetched as the model's role, compiled where that can be.

Called by the reconcilers of models and endpoints until it is complete. Endpoints keep the result in their plan:

    {"kind": "compiled" | "native" | "script" | "http" | "many" (models are prepared when they are called),
     "runtime", "model": <digest>, "code": <digest>, "requirements": <text>,
     "folder": <of the compiled model>, "reason": <why not compiled>}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from colonnade import runtimes
from colonnade.executors import Executor
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Principals, Storage
from colonnade.lifecycle.deploy.model.operations import (
    containers_of,
    hostnames_of,
    is_multi_model,
    model_data_url,
    submitted_code,
)
from colonnade.serving.artifacts import Artifacts, s3_place
from colonnade.serving.compiling import compilation


class Broken(Exception):  # noqa: N818 - a verdict
    """The model cannot be served; the text is for an endpoint's FailureReason."""


def prepare_all(
    platform: Platform, model: Mapping[str, Any], known: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """One step for each of the containers of a model's document, in their order. Raises Broken."""
    containers = containers_of(model)
    named = zip(containers, hostnames_of(model), known or [{} for _ in containers], strict=True)
    role = model.get("ExecutionRoleArn", "")
    return [prepare(platform, container, role, before, name=name) for container, name, before in named]


def prepare(
    platform: Platform,
    container: Mapping[str, Any],
    role: str,
    known: Mapping[str, Any],
    *,
    name: str = "primary",
    seconds: float = inf,
) -> dict[str, Any]:
    """What is known after this step, from what was `known` before; complete when it has a `kind`. Raises Broken, whose text
    calls the container by its `name`; also when its data are not fetched in `seconds`."""
    prepared = {**known} if known else _fetch(platform, container, role, name, seconds)
    if "kind" in prepared:
        return prepared
    if is_multi_model(container):
        return {**prepared, "kind": "many"}
    if prepared["script"]:
        return {**prepared, "kind": "http" if prepared["runtime"] == "http-server" else "script"}
    if not prepared["model"]:
        raise _not_loadable(name, "the container needs a ModelDataUrl")
    found = compilation(
        platform.the(Artifacts), platform.the(Executor), prepared["model"], prepared["runtime"]
    )
    match found.state:
        case "compiled":
            return {**prepared, "kind": "compiled", "folder": str(found.folder)}
        case "native":
            return {**prepared, "kind": "native", "reason": found.reason}
        case "refused":
            raise _not_loadable(name, found.reason)
        case _:
            return prepared


def answering(prepared: Mapping[str, Any]) -> dict[str, str]:
    """The variables that tell a process of the container what answers there: the built-in container, the framework's functions
    alone, or those around the user's."""
    if prepared["script"]:
        return {"COLONNADE_HANDLERS": prepared["runtime"]}
    if runtimes.registered()[prepared["runtime"]].algorithm:
        return {"COLONNADE_HANDLERS": "native"}
    return {"COLONNADE_HANDLERS": prepared["runtime"], "COLONNADE_NO_SCRIPT": "1"}


def _fetch(
    platform: Platform, container: Mapping[str, Any], role: str, name: str, seconds: float
) -> dict[str, Any]:
    runtime = runtimes.serving(container["Image"], container.get("Environment", {}))
    url = "" if is_multi_model(container) else model_data_url(container)
    model = _keep(platform, role, url, name, seconds)
    code = _keep(platform, role, submitted_code(container), name, seconds)
    script = _has_script(platform.the(Artifacts), runtime, container, model, code, name)
    prepared = {"runtime": runtime.name, "model": model, "code": code, "script": script}
    if script:
        prepared["requirements"] = _requirements(platform.the(Artifacts), model, code, name)
    return prepared


def _has_script(
    artifacts: Artifacts,
    runtime: runtimes.Runtime,
    container: Mapping[str, Any],
    model: str,
    code: str,
    name: str,
) -> bool:
    """Whether the user's code answers. A model alone, of a library whose models are known here, does without."""
    if runtime.algorithm or not runtime.loads_models:
        return not runtime.algorithm or runtimes.has_program({}, container.get("Environment", {}))
    if code or not model or runtimes.has_program({}, container.get("Environment", {})):
        return True
    try:
        return any(file.startswith("code/") for file in artifacts.names(model))
    except ServiceError as error:
        raise _not_loadable(name, str(error)) from error


def _keep(platform: Platform, role: str, url: str, name: str, seconds: float) -> str:
    """The digest of the archive, or nothing for no URL."""
    if not url:
        return ""
    try:
        principal = platform.the(Principals).assume_for_service(role, "sagemaker.amazonaws.com", "SageMaker")
        content = platform.the(Storage).read(principal, *s3_place(url))
        return platform.the(Artifacts).keep(content, seconds=seconds)
    except ServiceError as error:
        raise Broken(
            f'Failed to download model data for container "{name}" from URL: "{url}". Please ensure that there is an '
            "object located at the URL and that the role passed to CreateModel has permissions to download the object "
            f"({error})."
        ) from error


def _requirements(artifacts: Artifacts, model: str, code: str, name: str) -> str:
    try:
        submitted = artifacts.text(code, "requirements.txt") if code else ""
        return submitted or (artifacts.text(model, "code/requirements.txt") if model else "")
    except ServiceError as error:
        raise _not_loadable(name, str(error)) from error


def _not_loadable(name: str, reason: str) -> Broken:
    return Broken(f'Failed to load the model of container "{name}": {reason}')
