"""Brings what a worker's router has counted to CloudWatch: the metrics of endpoints, as SageMaker names them.

One thread in each worker, every ten seconds and at the end of each minute; CloudWatch's storage adds what several workers counted
for the same minute. kill -9 of a worker costs the metrics of ten seconds at most.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Iterator, Mapping

from colonnade.kernel.clock import Clock
from colonnade.kernel.store import Key
from colonnade.serving.router import Router
from colonnade.serving.routes import Counters
from colonnade.statistics.sketch import Sketch
from colonnade.timeseries import Datum, Dimensions, Series
from colonnade.timeseries.database import Timeseries

_log = logging.getLogger(__name__)
_SECONDS = 10.0
_NAMESPACE = "AWS/SageMaker"
_TIMES = ("ModelLoadingWaitTime", "ModelDownloadingTime", "ModelLoadingTime", "ModelUnloadingTime")
_UNITS = {
    "ModelSetupTime": "Microseconds",
    "RequestDownloadLatency": "Microseconds",
    "ResponseUploadLatency": "Microseconds",
    "TimeInBacklog": "Milliseconds",
    "TotalProcessingTime": "Milliseconds",
}
"""Of what is noted in CloudWatch's own units already."""
_INSTANCE_METRICS = ("LoadedModelCount",)
"""What SageMaker publishes in the namespace of instances instead."""


class Publisher:
    def __init__(self, router: Router, storage: Timeseries, clock: Clock) -> None:
        self._router = router
        self._storage = storage
        self._clock = clock
        self._ended = threading.Event()
        self._since = clock.now()
        self._left: list[Datum] = []
        """What the storage refused: tried again with what comes next."""
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """On the router's event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """Publishes the rest. The event loop must have ended, or run on another thread."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self.publish(self._router.take_counters())

    def _run(self) -> None:
        while not self._ended.wait(min(_SECONDS, 60 - self._clock.now() % 60)):
            taking = self._take()
            try:
                # On the event loop: it counts, and nobody else touches what it counts in.
                taken = asyncio.run_coroutine_threadsafe(taking, self._loop).result(_SECONDS)
            except (
                RuntimeError,
                TimeoutError,
                concurrent.futures.CancelledError,
            ):  # `stop` publishes the rest
                taking.close()
                continue
            self.publish(taken)

    async def _take(self) -> Mapping[tuple[Key, str], Counters]:
        return self._router.take_counters()

    def publish(self, taken: Mapping[tuple[Key, str], Counters]) -> None:
        """Counted since the time before, and so a value of the minute that it was."""
        since, self._since = self._since, self._clock.now()
        data = [
            datum
            for (endpoint, variant), counters in taken.items()
            for datum in data_of(endpoint, variant, counters, since)
        ]
        if not data and not self._left:
            return
        try:
            self._storage.put(self._left + data)
            self._left = []
        except Exception:  # noqa: BLE001 - a disk that is full, say: the endpoints serve on
            self._left = (self._left + data)[-10_000:]
            _log.exception("metrics could not be kept; trying again")


def data_of(endpoint: Key, variant: str, counters: Counters, at: float) -> Iterator[Datum]:
    """SageMaker Developer Guide, "Metrics for monitoring SageMaker AI with CloudWatch"."""
    dimensions: Dimensions = (("EndpointName", endpoint.name), ("VariantName", variant))
    if endpoint.type == "InferenceComponent":
        dimensions = (("InferenceComponentName", endpoint.name),)
    calls, clients, servers = counters.invocations, counters.client_errors, counters.server_errors

    def datum(name: str, values: Sketch, unit: str, more: Dimensions = ()) -> Datum:
        namespace = "/aws/sagemaker/Endpoints" if name in _INSTANCE_METRICS else _NAMESPACE
        places = tuple(sorted((*dimensions, *more)))
        return Datum(Series(endpoint.account, endpoint.region, namespace, name, places, unit), at, values)

    if calls:
        yield datum("Invocations", _times({1.0: calls}), "None")
        yield datum("Invocation4XXErrors", _times({1.0: clients, 0.0: calls - clients}), "None")
        yield datum("Invocation5XXErrors", _times({1.0: servers, 0.0: calls - servers}), "None")
        failed = clients + servers
        yield datum("InvocationModelErrors", _times({1.0: failed, 0.0: calls - failed}), "None")
        yield datum("ModelLatency", counters.latency, "Microseconds")
    for container, values in counters.containers.items():
        yield datum("ContainerLatency", values, "Microseconds", (("ContainerName", container),))
    for name, values in counters.models.items():
        if name in _TIMES:
            yield datum(name, _scaled(values, 1e6), "Microseconds")
        else:
            yield datum(name, values, _UNITS.get(name, "None"))


def _times(counts: Mapping[float, int]) -> Sketch:
    sketch = Sketch()
    for value, times in counts.items():
        if times:
            sketch.add(value, times)
    return sketch


def _scaled(values: Sketch, factor: float) -> Sketch:
    scaled = Sketch()
    for value, times in values.values():
        scaled.add(value * factor, times)
    return scaled
