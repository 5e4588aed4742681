"""A session for the SageMaker Python SDK, v2 or v3, whose every call reaches Colonnade: `colonnade.sagemaker_session()`.

Runs in the user's process, beside the SDK; the server knows nothing of it. The SDK takes its addresses from the AWS profile
or environment as boto3 does, with one exception: it names STS by AWS's own address, whatever is configured. That is mended
here, for all sessions of the process. The session also opts out of the SDK's telemetry, which goes to AWS.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit

SESSIONS = {"2": "sagemaker.session", "3": "sagemaker.core.helper.session_helper"}
"""Where a major version of the SDK has its Session, and the function that names STS."""


def sagemaker_session(boto_session: Any = None, **options: Any) -> Any:
    """A `Session` of the installed SDK; options such as `default_bucket` are passed on to it."""
    major = _installed_major()
    module: Any = import_module(SESSIONS[major])
    boto_session = boto_session or import_module("boto3").Session()
    address = _address(boto_session)
    module.sts_regional_endpoint = lambda _region: address
    session = module.Session(boto_session=boto_session, **options)
    _opt_out_of_telemetry(session)
    return session


def _installed_major() -> str:
    try:
        installed = version("sagemaker")
    except PackageNotFoundError:
        raise ModuleNotFoundError(
            "sagemaker_session() needs the SageMaker Python SDK: pip install sagemaker"
        ) from None
    major = installed.partition(".")[0]
    if major not in SESSIONS:
        raise ImportError(
            f"sagemaker {installed} is installed, and sagemaker_session() knows 2 and 3: use the SDK's own "
            "Session(default_bucket=...)"
        )
    return major


def _address(boto_session: Any) -> str:
    address: str = boto_session.client("sts").meta.endpoint_url
    host = urlsplit(address).hostname or ""
    if host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        raise ValueError(
            f"the AWS profile {boto_session.profile_name!r} names no endpoint_url, so that calls would go to {host}: "
            "run `colonnade configure` and set AWS_PROFILE=colonnade, or set AWS_ENDPOINT_URL"
        )
    return address


def _opt_out_of_telemetry(session: Any) -> None:
    """As a configuration file would, whose other words hold; one that speaks of telemetry is obeyed."""
    level = session.sagemaker_config
    if not level:
        level = session.sagemaker_config = {"SchemaVersion": "1.0"}
    for name in ("SageMaker", "PythonSDK", "Modules"):
        level = level.setdefault(name, {})
    level.setdefault("TelemetryOptOut", True)
