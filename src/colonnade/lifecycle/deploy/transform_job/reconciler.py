"""Drives a transform job to its end. Looks at its works each time, so it may be killed between any two lines.

The objects are dealt out once, which is written down before the first work starts; works are found again by their ids. Outputs are
brought over when all works have ended, each whole or not at all, in a step that can be repeated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from colonnade.executors import Executor, Observation, Phase
from colonnade.jobs import logs
from colonnade.jobs.channels import DownloadFailed
from colonnade.jobs.failure import LONGEST, reason_of
from colonnade.jobs.locations import Location
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import LogStreams, Principal, Principals, Storage, WorkCredentials
from colonnade.kernel.reconcile import Again, Done, Failed, Outcome, reconciler
from colonnade.kernel.resources import Edit
from colonnade.kernel.store import Document, Key
from colonnade.lifecycle.deploy.model.preparation import Broken, prepare_all
from colonnade.lifecycle.deploy.transform_job import (
    LOG_GROUP,
    SERVICE,
    TRANSFORM_JOBS,
    contract,
    shares,
    states,
)
from colonnade.serving.artifacts import Artifacts
from colonnade.serving.batch.plan import DATA_LOG, OUTPUTS

_SOON, _POLL = 0.05, 0.1
_CATEGORIES = ("ClientError:", "AlgorithmError:", "InternalServerError:")


def fail(platform: Platform, key: Key, reason: str) -> None:
    """Write down why the job failed, and leave nothing of it running."""
    at = platform.clock.now()

    def edit(document: Document) -> None:
        document["FailureReason"] = reason[:LONGEST]
        states.end(document, states.FAILED, at)

    _finish(platform, key, edit)


@reconciler("sagemaker", "TransformJob", fail=fail)
def reconcile(platform: Platform, key: Key) -> Outcome:
    with platform.store.read() as reader:
        stored = reader.get(key)
    if stored is None:
        return Done()
    job = stored.document
    if job["TransformJobStatus"] in states.ENDED:
        return _finish(platform, key, lambda document: None)
    try:
        role = platform.the(Principals).assume_for_service(
            job["_Model"]["ExecutionRoleArn"], SERVICE, "SageMaker"
        )
        return _step(platform, key, job, role)
    except DownloadFailed as error:
        return Failed(f"ClientError: Data download failed: {error}")
    except Broken as broken:
        text = str(broken)
        return Failed(text if text.startswith(_CATEGORIES) else f"ClientError: {text}")
    except ServiceError as error:
        return Failed(f"ClientError: {error}")


def _step(platform: Platform, key: Key, job: Document, role: Principal) -> Outcome:
    stopping = job["TransformJobStatus"] == states.STOPPING
    if "_Shares" not in job:
        if stopping:
            return _stopped(platform, key)
        return _prepare(platform, key, job, role)
    executor, works = platform.the(Executor), _works(job)
    seen = {work: executor.observe(work) for work in works}
    absent = [work for work in works if seen[work].phase is Phase.ABSENT]
    if stopping:
        for work in works:
            executor.stop(work)
    elif absent:
        return _start(platform, key, job, role, absent)
    _pump(platform, key, job)
    if all(one.phase in (Phase.ENDED, Phase.ABSENT) for one in seen.values()):
        return _collect(platform, key, job, role, [seen[work] for work in works])
    return Again(_POLL if any(one.phase is Phase.RUNNING for one in seen.values()) else _SOON)


# Before the works run


def _prepare(platform: Platform, key: Key, job: Document, role: Principal) -> Outcome:
    """The model's data, then the objects: who gets which is settled with this."""
    model = {**job["_Model"], **_with_variables(job)}
    prepared = prepare_all(platform, model, job.get("_Prepared", []))
    if not all(_is_known(one) for one in prepared):
        TRANSFORM_JOBS.update(platform, key, lambda document: document.update(_Prepared=prepared))
        return Again(_SOON)
    dealt = shares.deal(job, platform.the(Storage), role)
    now = platform.clock.now()

    def begin(document: Document) -> None:
        document.update(_Prepared=prepared, _Shares=dealt)
        document["TransformStartTime"] = now

    TRANSFORM_JOBS.update(platform, key, begin)
    return Again(0.0)


def _with_variables(job: Document) -> dict[str, Any]:
    """The model's containers under the job's variables, which may name another program."""
    given = job.get("Environment", {})

    def merged(container: Mapping[str, Any]) -> dict[str, Any]:
        return {**container, "Environment": {**container.get("Environment", {}), **given}}

    model = job["_Model"]
    if "PrimaryContainer" in model:
        return {"PrimaryContainer": merged(model["PrimaryContainer"])}
    return {"Containers": [merged(container) for container in model.get("Containers", [])]}


def _is_known(prepared: Mapping[str, Any]) -> bool:
    """A built-in algorithm's model is served by its own library here, whatever becomes of its compilation."""
    return "kind" in prepared or bool(prepared["model"] and not prepared["script"])


def _start(platform: Platform, key: Key, job: Document, role: Principal, absent: Sequence[str]) -> Outcome:
    if "_Started" in job:
        return Failed("InternalServerError: The work of this job is gone from its executor.")
    works = _works(job)
    for work in absent:
        acting = platform.the(WorkCredentials).grant(work, role, key.region)
        artifacts, storage = platform.the(Artifacts), platform.the(Storage)
        described = contract.work_of(job, works.index(work), artifacts, storage, role, key.region, acting)
        try:
            platform.the(Executor).start(described)
        except OSError as error:
            return Failed(f"InternalServerError: The work could not be started: {error}")
    TRANSFORM_JOBS.update(platform, key, lambda document: document.update(_Started=True))
    return Again(_SOON)


# After they ended


def _collect(
    platform: Platform, key: Key, job: Document, role: Principal, ends: Sequence[Observation]
) -> Outcome:
    """Bring over what is whole, and write down how it ended. A job that was stopped leaves nothing."""
    if job["TransformJobStatus"] == states.STOPPING:
        return _stopped(platform, key)
    try:
        for number, work in enumerate(_works(job)):
            _upload(platform, job, role, work, job["_Shares"][number])
    except ServiceError as error:
        return Failed(f"ClientError: The output cannot be written: {error}")
    reasons = [_reason(platform, work, end) for work, end in zip(_works(job), ends, strict=True)]
    for reason in filter(None, reasons):
        return Failed(reason)
    now = platform.clock.now()

    def edit(document: Document) -> None:
        stopping = document["TransformJobStatus"] == states.STOPPING
        states.end(document, states.STOPPED if stopping else states.COMPLETED, now)

    return _finish(platform, key, edit)


def _upload(platform: Platform, job: Document, role: Principal, work: str, share: shares.Share) -> None:
    executor, storage = platform.the(Executor), platform.the(Storage)
    output = job["TransformOutput"]
    target = Location.parse(output["S3OutputPath"])
    written = {"content_type": output.get("Accept") or "binary/octet-stream"}
    if "KmsKeyId" in output:
        written["kms_key_id"] = output["KmsKeyId"]
    whole = {output.path for output in executor.outputs(work, OUTPUTS)}
    for index, (_, _, name) in enumerate(share):
        path = contract.output_of(index)
        if path in whole:
            place = target.below(name)
            with executor.open(work, f"{OUTPUTS}/{path}") as file:
                storage.write(role, place.bucket, place.key, file, **written)


def _reason(platform: Platform, work: str, end: Observation) -> str:
    """Why an instance failed; empty when it did not."""
    if end.lost or not end.staged:
        return reason_of(end)
    if end.exit_code == 0:
        return ""
    if end.failure.startswith(_CATEGORIES):
        return end.failure
    said = [event.message for event in platform.the(Executor).logs(work).events if event.message.strip()]
    last = f" It said last: {said[-1]}" if said else ""
    return f"InternalServerError: An instance ended with exit code {end.exit_code}.{last}"


def _stopped(platform: Platform, key: Key) -> Outcome:
    now = platform.clock.now()
    return _finish(platform, key, lambda document: states.end(document, states.STOPPED, now))


def _finish(platform: Platform, key: Key, edit: Edit) -> Outcome:
    """The document's last change, then the end of the reconciler's attention, then of the works' traces."""
    job = TRANSFORM_JOBS.update(platform, key, edit, active=True).document
    _pump(platform, key, job)
    for work in _works(job):
        platform.the(Executor).forget(work)
        platform.the(WorkCredentials).revoke(work)
    TRANSFORM_JOBS.update(platform, key, lambda document: None, active=False)
    return Done()


# Both


def _works(job: Document) -> list[str]:
    """Of the instances that have something to do."""
    works: list[str] = job["_Works"][: len(job.get("_Shares", []))]
    return works


def _pump(platform: Platform, key: Key, job: Document) -> None:
    executor, streams = platform.the(Executor), platform.the(LogStreams)
    for work in _works(job):
        instance = f"i-{hashlib.sha256(work.encode()).hexdigest()[:17]}"
        stream = logs.Stream(key.account, key.region, LOG_GROUP, f"{job['TransformJobName']}/{instance}")
        beside = logs.Stream(key.account, key.region, LOG_GROUP, f"{stream.name}/data-log")
        logs.pump(executor, work, streams, stream)
        logs.pump_file(executor, work, DATA_LOG, streams, beside, platform.clock.now())
