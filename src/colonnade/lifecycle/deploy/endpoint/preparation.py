"""From a variant of a plan to what its instances hold: model data fetched as the model's role, compiled where that can be.

The result is kept in the plan (member `prepared`), so it is worked out once for each generation:

    {"kind": "compiled" | "native" | "script", "runtime", "model": <digest>, "code": <digest>, "requirements": <text>,
     "folder": <of the compiled model>, "reason": <why not compiled>}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade import runtimes
from colonnade.executors import Executor
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Principals, Storage
from colonnade.lifecycle.deploy.model import model_data_url, submitted_code
from colonnade.serving.artifacts import Artifacts, s3_place
from colonnade.serving.compiling import compilation


class Broken(Exception):  # noqa: N818 - a verdict
    """The variant cannot be served; the text is for the endpoint's FailureReason."""


def prepare(platform: Platform, variant: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the preparation after this step; complete when it has a `kind`. Raises Broken."""
    prepared = {**known} if known else _fetch(platform, variant)
    if "kind" in prepared:
        return prepared
    if prepared["script"]:
        return {**prepared, "kind": "script"}
    if not prepared["model"]:
        raise Broken(_no_model_data(variant, "the container needs a ModelDataUrl"))
    found = compilation(
        platform.the(Artifacts), platform.the(Executor), prepared["model"], prepared["runtime"]
    )
    match found.state:
        case "compiled":
            return {**prepared, "kind": "compiled", "folder": str(found.folder)}
        case "native":
            return {**prepared, "kind": "native", "reason": found.reason}
        case "refused":
            raise Broken(_no_model_data(variant, found.reason))
        case _:
            return prepared


def _fetch(platform: Platform, variant: Mapping[str, Any]) -> dict[str, Any]:
    container = variant["container"]
    runtime = runtimes.find(container["Image"])
    environment = container.get("Environment", {})
    script = not runtime.algorithm or runtimes.has_program({}, environment)
    model = _keep(platform, variant, model_data_url(container))
    code = _keep(platform, variant, submitted_code(container))
    prepared = {"runtime": runtime.name, "model": model, "code": code, "script": script}
    if script:
        prepared["requirements"] = _requirements(platform.the(Artifacts), model, code)
    return prepared


def _keep(platform: Platform, variant: Mapping[str, Any], url: str) -> str:
    """The digest of the archive, or nothing for no URL."""
    if not url:
        return ""
    try:
        role = platform.the(Principals).assume_for_service(
            variant["role"], "sagemaker.amazonaws.com", "SageMaker"
        )
        return platform.the(Artifacts).keep(platform.the(Storage).read(role, *s3_place(url)))
    except ServiceError as error:
        raise Broken(
            f'Failed to download model data for container "primary" from URL: "{url}". Please ensure that there is an '
            "object located at the URL and that the role passed to CreateModel has permissions to download the object "
            f"({error})."
        ) from error


def _requirements(artifacts: Artifacts, model: str, code: str) -> str:
    try:
        submitted = artifacts.text(code, "requirements.txt") if code else ""
        return submitted or (artifacts.text(model, "code/requirements.txt") if model else "")
    except ServiceError as error:
        raise Broken(str(error)) from error


def _no_model_data(variant: Mapping[str, Any], reason: str) -> str:
    return f"The model of production variant {variant['VariantName']} cannot be loaded: {reason}"
