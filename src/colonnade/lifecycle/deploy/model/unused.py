"""Archives and conversions below `<data>/models` that nothing names any more: no endpoint, model or transform job.

The leader sweeps them now and then. What is younger than a day stays: somebody may be about to write its name down.
"""

from __future__ import annotations

import json
import re

from colonnade.kernel import reconcile
from colonnade.kernel.platform import Platform
from colonnade.serving.artifacts import Artifacts

_DAY = 86_400.0
_DIGEST = re.compile(r"[0-9a-f]{64}")


def sweep(platform: Platform, *, now: float, grace: float = _DAY) -> list[str]:
    """The digests that went. `now` is real time, as files have it."""
    artifacts = platform.the(Artifacts)
    # First those that may go, then what is in use: what comes into use meanwhile is younger than the grace.
    old = artifacts.older_than(now - grace)
    used = _named(platform) if old else set()
    gone = [digest for digest in old if digest not in used]
    for digest in gone:
        artifacts.remove(digest)
    return gone


def _named(platform: Platform) -> set[str]:
    """Every digest in a document that somebody works on: whatever serves or prepares a model has a reconciler."""
    found: set[str] = set()
    with platform.store.read() as reader:
        for service, type_ in reconcile.registered():
            if service == "sagemaker":
                for row in reader.scan_types(service, type_):
                    found.update(_DIGEST.findall(json.dumps(row.document)))
    return found
