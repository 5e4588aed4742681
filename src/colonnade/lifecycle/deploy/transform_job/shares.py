"""Which instance gets which objects, and what their outputs are called.

Objects are dealt out, never their records, so what comes out does not depend on how many instances there are.
"""

from __future__ import annotations

import heapq

from colonnade.jobs import channels
from colonnade.jobs.locations import Location
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.ports import Principal, Storage
from colonnade.kernel.store import Document

Share = list[list[str]]
"""[bucket, key, name below the output path] of each object."""


def deal(job: Document, storage: Storage, role: Principal) -> list[Share]:
    """A share for each instance that has something to do, at most as many as the job has. Raises DownloadFailed."""
    uri = job["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
    try:
        # A manifest may name an object twice; there is one output of a name.
        found = dict(channels.objects_of(storage, role, job["TransformInput"]))
        sized = [
            (name, location, storage.read(role, location.bucket, location.key).info.size)
            for name, location in found.items()
        ]
    except (ServiceError, ValueError) as error:
        raise channels.DownloadFailed(f"{uri}: {error}") from error
    if not sized:
        raise channels.DownloadFailed(f'No S3 objects found under S3 URL "{uri}" given in input data source.')
    return _balanced(sized, len(job["_Works"]))


def _balanced(sized: list[tuple[str, Location, int]], instances: int) -> list[Share]:
    """The largest first, each to whom has least; in each share the order of the source."""
    least = [(0, number) for number in range(min(instances, len(sized)))]
    owner: dict[int, int] = {}
    for index in sorted(range(len(sized)), key=lambda index: -sized[index][2]):
        held, number = heapq.heappop(least)
        owner[index] = number
        heapq.heappush(least, (held + sized[index][2] + 1, number))
    shares: list[Share] = [[] for _ in least]
    for index, (name, location, _) in enumerate(sized):
        shares[owner[index]].append([location.bucket, location.key, f"{name}.out"])
    return shares
