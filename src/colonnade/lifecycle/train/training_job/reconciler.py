"""Drives a training job from Starting to its end. Looks at the work each time, so it may be killed between any two lines.

The job's document says how far it is known to be; the executor says how far it is. Lines, metrics, checkpoints and artefacts
are brought over in steps that can be repeated: log positions are kept by the stream, uploads overwrite themselves.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import partial

from colonnade.executors import Executor, Observation, Phase
from colonnade.jobs import artefacts, checkpoints, logs
from colonnade.jobs.channels import DownloadFailed
from colonnade.jobs.failure import LONGEST, reason_of
from colonnade.jobs.instants import by_platform_clock
from colonnade.jobs.locations import Location
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import LogStreams, Principal, Principals, Storage, WorkCredentials
from colonnade.kernel.reconcile import Again, Done, Failed, Outcome, reconciler
from colonnade.kernel.resources import Edit
from colonnade.kernel.store import Document, Key
from colonnade.lifecycle.train.training_job import LOG_GROUP, TRAINING_JOBS, contract, states
from colonnade.lifecycle.train.training_job.acceptance import SERVICE

_SOON, _POLL = 0.05, 0.2
_CHECKPOINTS_EVERY = 2.0


def fail(platform: Platform, key: Key, reason: str) -> None:
    """Write down why the job failed, and leave nothing of it running."""
    at = platform.clock.now()

    def edit(document: Document) -> None:
        document["FailureReason"] = reason[:LONGEST]
        states.end(document, "Failed", "Failed", at)

    _finish(platform, key, edit)


@reconciler("sagemaker", "TrainingJob", fail=fail)
def reconcile(platform: Platform, key: Key) -> Outcome:
    with platform.store.read() as reader:
        stored = reader.get(key)
    if stored is None:
        return Done()
    job = stored.document
    if job["TrainingJobStatus"] in states.ENDED:
        return _finish(platform, key, lambda document: None)
    try:
        role = platform.the(Principals).assume_for_service(job["RoleArn"], SERVICE, "SageMaker")
        return _step(platform, key, job, role)
    except DownloadFailed as error:
        return Failed(f"ClientError: Data download failed: {error}")
    except ServiceError as error:
        return Failed(f"ClientError: {error}")


def _step(platform: Platform, key: Key, job: Document, role: Principal) -> Outcome:
    executor = platform.the(Executor)
    observed = executor.observe(job["_Work"])
    if job["TrainingJobStatus"] == states.STOPPING:
        if observed.phase is Phase.ABSENT:
            return _stopped(platform, key)
        executor.stop(job["_Work"])
    if observed.phase is Phase.ABSENT:
        return _start(platform, key, job, role)
    logs.pump(executor, job["_Work"], platform.the(LogStreams), _stream(key, job))
    if observed.phase is Phase.STAGING:
        return Again(_SOON)
    _note_training(platform, key, job, observed)
    if observed.phase is not Phase.ENDED:
        _save_checkpoints(platform, key, job, role, pause=_CHECKPOINTS_EVERY)
        return Again(_POLL)
    return _collect(platform, key, job, role, observed)


def _start(platform: Platform, key: Key, job: Document, role: Principal) -> Outcome:
    if "_Started" in job:
        return Failed("InternalServerError: The work of this job is gone from its executor.")
    now = platform.clock.now()

    def begin(document: Document) -> None:
        document.setdefault("TrainingStartTime", now)
        if contract.downloads(document) and document["TrainingJobStatus"] == states.IN_PROGRESS:
            states.enter(document, "Downloading", now)

    job = TRAINING_JOBS.update(platform, key, begin).document
    acting = platform.the(WorkCredentials).grant(job["_Work"], role, key.region)
    work = contract.work_of(job, platform.the(Storage), role, key.region, acting)
    try:
        platform.the(Executor).start(work)
    except ValueError as error:  # a key that cannot be a file's path
        return Failed(f"ClientError: Data download failed: {error}")
    except OSError as error:
        return Failed(f"InternalServerError: The work could not be started: {error}")
    TRAINING_JOBS.update(platform, key, lambda document: document.update(_Started=True))
    return Again(_SOON)


def _note_training(platform: Platform, key: Key, job: Document, observed: Observation) -> None:
    if observed.started is None or states.is_past(job, "Training") or states.is_past(job, "Stopping"):
        return
    at = by_platform_clock(platform, observed.started)
    job.update(TRAINING_JOBS.update(platform, key, lambda document: _enter_training(document, at)).document)


def _enter_training(document: Document, at: float) -> None:
    # Somebody may have asked it to stop since it was read.
    if document["TrainingJobStatus"] == states.IN_PROGRESS:
        states.enter(document, "Training", at)


def _collect(platform: Platform, key: Key, job: Document, role: Principal, end: Observation) -> Outcome:
    """Bring over what an ended work left, and write down how it ended."""
    stopping = job["TrainingJobStatus"] == states.STOPPING
    TRAINING_JOBS.update(platform, key, lambda document: document.update(_Usage=asdict(end.usage)))
    if stopping and not end.staged:
        return _stopped(platform, key)
    _save_checkpoints(platform, key, job, role, pause=0.0)
    if end.lost or not (stopping or end.stopped or end.timed_out or (end.staged and end.exit_code == 0)):
        _keep_metrics(platform, key, job)
        return Failed(reason_of(end))
    at = by_platform_clock(platform, end.ended or time.time())
    if not stopping:
        TRAINING_JOBS.update(platform, key, lambda document: states.enter(document, "Uploading", at))
    try:
        model = _upload(platform, job, role)
    except ServiceError as error:
        return Failed(f"ClientError: Artifact upload failed: {error}")
    metrics = _final_metrics(platform, job)
    now = platform.clock.now()

    def edit(document: Document) -> None:
        document["ModelArtifacts"] = {"S3ModelArtifacts": model}
        if metrics:
            document["FinalMetricDataList"] = metrics
        if end.timed_out:
            states.end(document, "Stopped", "MaxRuntimeExceeded", now)
        elif end.stopped or document["TrainingJobStatus"] == states.STOPPING:
            states.end(document, "Stopped", "Stopped", now)
        else:
            states.end(document, "Completed", "Completed", now)

    return _finish(platform, key, edit)


def _upload(platform: Platform, job: Document, role: Principal) -> str:
    """The model's URI, when it is there."""
    executor, storage, work = platform.the(Executor), platform.the(Storage), job["_Work"]
    output = job["OutputDataConfig"]
    kms_key_id = output.get("KmsKeyId", "")
    upload_files = partial(artefacts.upload_files, kms_key_id=kms_key_id)
    upload_archive = partial(artefacts.upload_archive, kms_key_id=kms_key_id)
    place = Location.parse(output["S3OutputPath"]).below(job["TrainingJobName"], "output")
    has_data = bool(executor.outputs(work, "output/data"))
    if output.get("CompressionType") == "NONE":
        upload_files(executor, work, "model", storage, role, place.below("model"))
        if has_data:
            upload_files(executor, work, "output/data", storage, role, place.below("data"))
        return f"{place.below('model')}/"
    if has_data:
        upload_archive(executor, work, "output/data", storage, role, place.below("output.tar.gz"))
    upload_archive(executor, work, "model", storage, role, place.below("model.tar.gz"))
    return str(place.below("model.tar.gz"))


def _keep_metrics(platform: Platform, key: Key, job: Document) -> None:
    if metrics := _final_metrics(platform, job):
        TRAINING_JOBS.update(platform, key, lambda document: document.update(FinalMetricDataList=metrics))


def _final_metrics(platform: Platform, job: Document) -> list[Document]:
    """The last value of each metric, in the order in which they first came."""
    executor = platform.the(Executor)
    last: dict[str, Document] = {}
    position = 0
    while True:
        found, position = executor.metrics(job["_Work"], position)
        for metric in found:
            at = by_platform_clock(platform, metric.timestamp)
            last[metric.name] = {"MetricName": metric.name, "Value": metric.value, "Timestamp": at}
        if not found:
            return list(last.values())


def _save_checkpoints(platform: Platform, key: Key, job: Document, role: Principal, *, pause: float) -> None:
    now = platform.clock.now()
    if "CheckpointConfig" not in job or now < job.get("_CheckpointsSaved", 0.0) + pause:
        return
    seen: checkpoints.Seen = job.get("_Checkpoints", {})
    current = checkpoints.synchronise(
        platform.the(Executor),
        job["_Work"],
        contract.checkpoint_folder(job),
        platform.the(Storage),
        role,
        Location.parse(job["CheckpointConfig"]["S3Uri"]),
        seen,
    )
    if current != seen or "_CheckpointsSaved" not in job:
        TRAINING_JOBS.update(
            platform, key, lambda document: document.update(_Checkpoints=current, _CheckpointsSaved=now)
        )


def _stopped(platform: Platform, key: Key) -> Outcome:
    """It was stopped before its program began: there is nothing to bring over."""
    now = platform.clock.now()
    return _finish(platform, key, lambda document: states.end(document, "Stopped", "Stopped", now))


def _finish(platform: Platform, key: Key, edit: Edit) -> Outcome:
    """The document's last change, then the end of the reconciler's attention, then of the work's traces."""
    job = TRAINING_JOBS.update(platform, key, edit, active=True).document
    executor = platform.the(Executor)
    logs.pump(executor, job["_Work"], platform.the(LogStreams), _stream(key, job))
    executor.forget(job["_Work"])
    platform.the(WorkCredentials).revoke(job["_Work"])
    TRAINING_JOBS.update(platform, key, lambda document: None, active=False)
    return Done()


def _stream(key: Key, job: Document) -> logs.Stream:
    return logs.Stream(key.account, key.region, LOG_GROUP, job["_LogStream"])
