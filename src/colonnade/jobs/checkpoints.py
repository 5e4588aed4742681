"""A folder of the work's kept in step with S3 while it runs: new and changed files go up, deleted ones go away there
(semantics 1.9). Who calls it keeps what was seen last, so that a restarted server neither repeats nor forgets.
"""

from __future__ import annotations

from collections.abc import Mapping

from colonnade.executors import Executor, Input
from colonnade.jobs.locations import Location
from colonnade.kernel.ports import Principal, Storage

Seen = dict[str, list[float]]
"""By name: size and time of change of what S3 has."""


def restored(storage: Storage, role: Principal, source: Location, folder: str) -> list[Input]:
    """Every object below the prefix, under its relative name."""
    prefix = source.key.rstrip("/") + "/" if source.key else ""
    return [
        Input(f"{folder}/{found.key[len(prefix) :]}", storage.read(role, found.bucket, found.key))
        for found in storage.list(role, source.bucket, prefix)
        if not found.key.endswith("/")
    ]


def synchronise(
    executor: Executor,
    work_id: str,
    folder: str,
    storage: Storage,
    role: Principal,
    target: Location,
    seen: Mapping[str, list[float]],
) -> Seen:
    """Make S3 what the folder is, as far as it changed since `seen`; what is there now."""
    now: Seen = {}
    for output in executor.outputs(work_id, folder):
        if output.path.endswith(".sagemaker-ignore"):
            continue
        now[output.path] = [float(output.size), output.modified]
        if seen.get(output.path) != now[output.path]:
            place = target.below(output.path)
            try:
                file = executor.open(work_id, f"{folder}/{output.path}")
            except FileNotFoundError:
                del now[output.path]
                continue
            with file:
                storage.write(role, place.bucket, place.key, file)
    for name in seen.keys() - now.keys():
        place = target.below(name)
        storage.delete(role, place.bucket, place.key)
    return now
