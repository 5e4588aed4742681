"""Data capture on the leader's side: what a plan captures, and the way of the workers' files to S3.

A plan that captures has a folder of its own in the workers' spool; the endpoint's document keeps, in `_captures`, where each
folder's files go and as whom, until the last of them has been brought there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from colonnade.jobs.locations import Location
from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import LogEvent, LogStreams, Principals, Storage
from colonnade.kernel.store import Document, Key
from colonnade.lifecycle.deploy.endpoint.states import ENDPOINTS
from colonnade.serving.capture import Spool, Spooled

_MODES = {"Input": ("INPUT",), "Output": ("OUTPUT",), "InputAndOutput": ("INPUT", "OUTPUT")}
_LINGERS = 120.0
"""Seconds in which workers close the files of a plan that is not served any more."""

_troubles: dict[Key, str] = {}
"""What the log was last told, so that it is told once."""


def check(config: Mapping[str, Any]) -> None:
    """Raises ValidationException for a DataCaptureConfig that cannot be met."""
    if is_on(config):
        Location.parse(config["DataCaptureConfig"]["DestinationS3Uri"])
        for variant in config["ProductionVariants"]:
            if "ServerlessConfig" in variant:
                raise validation(
                    f"DataCaptureConfig cannot be used with the serverless variant {variant['VariantName']}: leave it out."
                )


def is_on(config: Mapping[str, Any]) -> bool:
    """`EnableCapture` is optional, and capture is off without it."""
    return bool(config.get("DataCaptureConfig", {}).get("EnableCapture"))


def begin(document: Document, plan: dict[str, Any], config: Mapping[str, Any]) -> None:
    """Make a plan capture what its endpoint configuration says."""
    if "DataCaptureConfig" not in config:
        return
    given = config["DataCaptureConfig"]
    plan["data_capture"] = dict(given)
    if not is_on(config):
        return
    kinds = given.get("CaptureContentTypeHeader", {})
    modes = {mode for option in given["CaptureOptions"] for mode in _MODES[option["CaptureMode"]]}
    spool = f"{document['_id']}-{plan['variants'][0]['generation']}"
    terms = {
        "spool": spool,
        "share": given["InitialSamplingPercentage"] / 100,
        "modes": sorted(modes),
        "csv": sorted({kind.lower() for kind in kinds.get("CsvContentTypes", ())}),
        "json": sorted({kind.lower() for kind in kinds.get("JsonContentTypes", ())}),
    }
    for variant in plan["variants"]:
        variant["capture"] = terms
    document.setdefault("_captures", {})[spool] = {
        "destination": given["DestinationS3Uri"],
        "key": given.get("KmsKeyId", ""),
        "roles": {variant["VariantName"]: variant["role"] for variant in plan["variants"]},
    }


def summary(plan: Mapping[str, Any] | None) -> dict[str, Any]:
    """DescribeEndpoint's DataCaptureConfig; nothing for an endpoint without one."""
    if plan is None or "data_capture" not in plan:
        return {}
    given = plan["data_capture"]
    on = bool(given.get("EnableCapture"))
    return {
        "DataCaptureConfig": {
            "EnableCapture": on,
            "CaptureStatus": "Started" if on else "Stopped",
            "CurrentSamplingPercentage": given["InitialSamplingPercentage"],
            "DestinationS3Uri": given["DestinationS3Uri"],
            "KmsKeyId": given.get("KmsKeyId", ""),
        }
    }


def deliver_what_is_ready(platform: Platform, key: Key, document: Mapping[str, Any]) -> bool:
    """Bring complete files to S3, and let go of plans that capture no more. Whether there is, or may come, more to bring."""
    trouble = _deliver(platform, document)
    if trouble != _troubles.get(key, ""):
        _troubles[key] = trouble
        if trouble:
            _say(platform, key, document, f"{trouble} Trying again.")
    if not trouble and (over := _over(document, platform.clock.now())):
        for spool in over:
            platform.the(Spool).forget(spool)
        ENDPOINTS.update(platform, key, partial(_drop, over))
    return bool(document.get("_captures"))


def finish(platform: Platform, key: Key, document: Mapping[str, Any]) -> None:
    """Before the endpoint goes, the workers having closed their files: what cannot be brought anywhere goes with it, and its log
    says so."""
    if trouble := _deliver(platform, document):
        _say(platform, key, document, f"{trouble} The endpoint was deleted, and that data with it.")
    _troubles.pop(key, None)
    for spool in document.get("_captures", {}):
        platform.the(Spool).forget(spool)


def _deliver(platform: Platform, document: Mapping[str, Any]) -> str:
    """Why some of what is complete could not be brought; empty when all of it was."""
    for spool, way in document.get("_captures", {}).items():
        for file in platform.the(Spool).complete(spool):
            try:
                _bring(platform, document["EndpointName"], way, file)
            except ServiceError as error:
                return f"Captured data of variant {file.variant} could not be written to {way['destination']}: {error}."
            file.path.unlink(missing_ok=True)
    return ""


def _bring(platform: Platform, endpoint: str, way: Mapping[str, Any], file: Spooled) -> None:
    if not file.path.stat().st_size:
        return
    place = Location.parse(way["destination"]).below(endpoint, *file.key.split("/"))
    role = platform.the(Principals).assume_for_service(
        way["roles"][file.variant], "sagemaker.amazonaws.com", "SageMaker"
    )
    given = {"kms_key_id": way["key"]} if way["key"] else {}
    with file.path.open("rb") as stream:
        platform.the(Storage).write(
            role, place.bucket, place.key, stream, content_type="application/jsonlines", **given
        )


def _say(platform: Platform, key: Key, document: Mapping[str, Any], text: str) -> None:
    group = f"/aws/sagemaker/Endpoints/{document['EndpointName']}"
    event = LogEvent(platform.clock.now(), text)
    platform.the(LogStreams).append(key.account, key.region, group, "data-capture", [event])


def _over(document: Mapping[str, Any], now: float) -> list[str]:
    """Folders of plans that are not served any more, and have not been for so long that no worker adds to them."""
    if now - document["LastModifiedTime"] < _LINGERS:
        return []
    current = {
        variant["capture"]["spool"]
        for member in ("_live", "_next")
        for variant in document.get(member, {}).get("variants", ())
        if "capture" in variant
    }
    return [spool for spool in document.get("_captures", {}) if spool not in current]


def _drop(spools: list[str], document: Document) -> None:
    for spool in spools:
        document["_captures"].pop(spool, None)
