"""`GET /_colonnade/metrics`: what all processes of the server have counted, in Prometheus's text format.

Whichever worker is asked tells the others by the signal `metrics`, each leaves its report, and the sums are written out.
Endpoints' names are in there, so it is for programs on this machine, like a Prometheus agent.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from colonnade import __version__
from colonnade.gateway.exchange import Response
from colonnade.gateway.nearby import nearby
from colonnade.gateway.own import OwnRequest, json_response, own
from colonnade.kernel import operations, reconcile
from colonnade.kernel.measures import BOUNDS, reports
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Backlogs

log = logging.getLogger(__name__)
_PATIENCE = 2.0
"""Seconds for a process to report; one that does not is left as it was at the last asking."""
Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Where this server's reports lie."""

    def __init__(self, data: Path) -> None:
        self.data = data


@own("GET", "/_colonnade/metrics")
@nearby
async def metrics(request: OwnRequest) -> Response:
    if not request.platform.has(Metrics):
        return json_response({"message": "this server counts nothing"}, 404)
    text = await asyncio.to_thread(_collect, request.platform)
    return Response(200, [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")], text.encode())


def _collect(platform: Platform) -> str:
    asking = uuid.uuid4().hex
    for refusal in platform.signals.publish("metrics", asking, timeout=_PATIENCE):
        log.warning("%s did not report its metrics: %s", refusal.process, refusal.reason)
    found = reports(platform.the(Metrics).data)
    alive = [report for report in found if report["asking"] == asking]
    lines = [
        *_info(),
        *_requests(found),
        *_invocations(found),
        *_many_models(found, alive),
        *_noted(found),
        *_backlogs(platform),
        *_jobs(platform),
        *_store(found),
        *_processes(alive),
    ]
    return "\n".join(lines) + "\n"


def _info() -> Iterator[str]:
    yield from _family("colonnade_info", "gauge", "The version that runs.")
    yield _sample("colonnade_info", (("version", __version__),), 1)


def _requests(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    sums: dict[Labels, tuple[list[int], float]] = {}
    for service, operation, status, counts, seconds in _rows(found, "requests"):
        place: Labels = (("service", service), ("operation", operation), ("status", str(status)))
        before, already = sums.get(place, ([0] * len(counts), 0.0))
        sums[place] = ([a + b for a, b in zip(before, counts, strict=True)], already + seconds)
    name = "colonnade_request_seconds"
    yield from _family(
        name, "histogram", "Time to answer a request, by what it asked for and the HTTP status."
    )
    for labels, (counts, seconds) in sorted(sums.items()):
        yield from _histogram(name, labels, counts, seconds)


_INVOCATIONS = (
    ("colonnade_invocations_total", "Invocations of endpoints."),
    ("colonnade_invocation_client_errors_total", "Answers of models from 400 to 499."),
    ("colonnade_invocation_server_errors_total", "Answers of models above that, time-outs, no instance."),
    ("colonnade_invocation_model_seconds_total", "Time between asking instances and their answers."),
)


def _invocations(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    sums: dict[Labels, list[float]] = {}
    for region, endpoint, variant, *values in _rows(found, "invocations"):
        place: Labels = (("region", region), ("endpoint", endpoint), ("variant", variant))
        sums[place] = [a + b for a, b in zip(sums.get(place, [0] * 4), values, strict=True)]
    for column, (name, about) in enumerate(_INVOCATIONS):
        yield from _family(name, "counter", about)
        for labels, values in sorted(sums.items()):
            yield _sample(name, labels, values[column])


_NOTED = (
    (
        "ModelCacheHit",
        "colonnade_model_cache_hits",
        "Calls of many models, and how many found theirs in memory.",
    ),
    (
        "ModelLoadingWaitTime",
        "colonnade_model_loading_wait_seconds",
        "Time that calls waited for their models.",
    ),
    ("ModelDownloadingTime", "colonnade_model_downloading_seconds", "Time to fetch models from S3."),
    ("ModelLoadingTime", "colonnade_model_loading_seconds", "Time to take models into memory."),
    ("ModelUnloadingTime", "colonnade_model_unloading_seconds", "Time to let models go from memory."),
)
"""By CloudWatch's names, as `serving` notes them."""


def _many_models(found: Sequence[Mapping[str, Any]], alive: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    sums: dict[tuple[str, Labels], list[float]] = {}
    for region, endpoint, variant, metric, *values in (
        row for one in found for row in one["models"]["noted"]
    ):
        place: Labels = (("region", region), ("endpoint", endpoint), ("variant", variant))
        before = sums.get((metric, place), [0.0, 0.0])
        sums[metric, place] = [a + b for a, b in zip(before, values, strict=True)]
    for metric, name, about in _NOTED:
        yield from _family(name, "summary", about)
        for (noted, labels), (total, times) in sorted(sums.items()):
            if noted == metric:
                yield _sample(f"{name}_sum", labels, total)
                yield _sample(f"{name}_count", labels, times)
    name = "colonnade_loaded_models"
    yield from _family(name, "gauge", "Models of multi-model endpoints in memory, as each worker knows.")
    for report in alive:
        for region, endpoint, variant, count in report["models"]["loaded"]:
            where: Labels = (("region", region), ("endpoint", endpoint), ("variant", variant))
            yield _sample(name, (*where, ("process", report["process"])), count)


def _noted(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What only asynchronous and serverless endpoints have, under CloudWatch's names and in its units."""
    known = {metric for metric, _, _ in _NOTED}
    sums: dict[Labels, list[float]] = {}
    for region, endpoint, variant, metric, *values in (
        row for one in found for row in one["models"]["noted"]
    ):
        if metric not in known:
            place = (("region", region), ("endpoint", endpoint), ("variant", variant), ("metric", metric))
            before = sums.get(place, [0.0, 0.0])
            sums[place] = [a + b for a, b in zip(before, values, strict=True)]
    name = "colonnade_endpoint_metric"
    yield from _family(name, "summary", "Metrics of asynchronous and serverless endpoints, in AWS's units.")
    for labels, (total, times) in sorted(sums.items()):
        yield _sample(f"{name}_sum", labels, total)
        yield _sample(f"{name}_count", labels, times)


def _backlogs(platform: Platform) -> Iterator[str]:
    backlogs = platform.the(Backlogs).now() if platform.has(Backlogs) else []
    for name, about, member in (
        ("size", "ApproximateBacklogSize", "size"),
        ("size_per_instance", "ApproximateBacklogSizePerInstance", "per_instance"),
        ("oldest_request_seconds", "ApproximateAgeOfOldestRequest", "oldest_seconds"),
        ("without_capacity", "HasBacklogWithoutCapacity", "without_capacity"),
    ):
        yield from _family(f"colonnade_async_backlog_{name}", "gauge", f"{about} of asynchronous endpoints.")
        for backlog in backlogs:
            labels: Labels = (("region", backlog.region), ("endpoint", backlog.endpoint))
            yield _sample(f"colonnade_async_backlog_{name}", labels, getattr(backlog, member) + 0)


def _jobs(platform: Platform) -> Iterator[str]:
    """Of what a Stop operation can stop: those that a reconciler works on, and all that are kept."""
    types = [
        (service, type_)
        for service, type_ in sorted(reconcile.registered())
        if (service, f"Stop{type_}") in operations.registered()
    ]
    with platform.store.read() as reader:
        kept = {type_: reader.count_by_status(service, type_) for service, type_ in types}
        active = {
            type_: Counter(row.status for row in reader.scan_types(service, type_, active=True))
            for service, type_ in types
        }
    for name, about, counts in (
        ("colonnade_active_jobs", "Jobs that have not ended, by kind and status.", active),
        ("colonnade_jobs", "Jobs that are kept, ended ones too, by kind and status.", kept),
    ):
        yield from _family(name, "gauge", about)
        for type_, by_status in counts.items():
            for status, count in sorted(by_status.items()):
                yield _sample(name, (("type", type_), ("status", status)), count)


def _store(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    counts = [sum(column) for column in zip(*(report["store_writes"][0] for report in found), strict=True)]
    name = "colonnade_store_write_seconds"
    yield from _family(
        name, "histogram", "Time of a transaction of the store, waiting for its turn included."
    )
    yield from _histogram(name, (), counts, sum(report["store_writes"][1] for report in found))


def _processes(alive: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for name, kind, about, member in (
        ("colonnade_process_cpu_seconds_total", "counter", "Processor time.", "cpu_seconds"),
        (
            "colonnade_process_resident_memory_bytes",
            "gauge",
            "Memory, shared pages included.",
            "resident_bytes",
        ),
    ):
        yield from _family(name, kind, about)
        for report in alive:
            yield _sample(name, (("process", report["process"]),), report[member])


def _rows(found: Iterable[Mapping[str, Any]], member: str) -> Iterator[Sequence[Any]]:
    for report in found:
        yield from report[member]


# The format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format


def _family(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"


def _histogram(name: str, labels: Labels, counts: Sequence[int], seconds: float) -> Iterator[str]:
    bounds = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
    totals = list(accumulate(counts))
    for bound, total in zip(bounds, totals, strict=False):
        yield _sample(f"{name}_bucket", (*labels, ("le", bound)), total)
    yield _sample(f"{name}_sum", labels, seconds)
    yield _sample(f"{name}_count", labels, totals[-1] if totals else 0)


def _sample(name: str, labels: Labels, value: float) -> str:
    written = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{written}}} {value}" if written else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
