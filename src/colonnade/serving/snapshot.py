"""Keeps a worker's router in step with the routes in the store.

The endpoint's reconciler writes a document of type `route` and publishes the signal `routes`; here, in each worker, the models
are loaded, the replicas connected and a real prediction made before the route is swapped in. What fails here fails the
publisher: that is what InService rests on. At start-up nobody waits for an answer, so what cannot be had yet is tried again.

    {"EndpointName": "Demo", "generation": 3, "variants": [
        {"name": "blue", "weight": 1.0, "routing": "RANDOM", "direct": false, "containers": [
            {"name": "primary", "instances": [{"compiled": "<folder>", "environment": {}}, {"address": "unix:<path>"}]}]}]}

A container of many models has a member `many` too (`hosted`); its models are found when they are called, and the route says nothing
of them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import key_of, wake
from colonnade.kernel.store import Key
from colonnade.serving.asynchronous import terms as asynchronous
from colonnade.serving.capture import Capture, Recorder, Terms
from colonnade.serving.connection import ReplicaLost
from colonnade.serving.crashes import Noted, crashed, witness
from colonnade.serving.faults import Place
from colonnade.serving.hosted.container import ManyModels
from colonnade.serving.hosted.library import Library
from colonnade.serving.hosted.shelf import Shelf
from colonnade.serving.instances import Instance, Predicts, Replica, Slot
from colonnade.serving.router import Router
from colonnade.serving.routes import Container, Route, Variant, instances_of, many_of
from colonnade.serving.serverless.gate import Gate
from colonnade.serving.serverless.gates import Gates
from colonnade.serving.serverless.resting import Resting

_log = logging.getLogger(__name__)
T = TypeVar("T")


def route_key(endpoint: Key) -> Key:
    name = endpoint.name if endpoint.type == "Endpoint" else f"{endpoint.type}/{endpoint.name}"
    return Key(endpoint.partition, endpoint.account, endpoint.region, endpoint.service, "route", name)


def endpoint_key(route: Key) -> Key:
    """Or the inference component's: they have routes of their own."""
    type_, _, name = route.name.rpartition("/")
    return Key(route.partition, route.account, route.region, route.service, type_ or "Endpoint", name)


class Snapshot:
    """Made before the worker serves (it subscribes at once); `start` is awaited on the worker's event loop."""

    def __init__(
        self, platform: Platform, router: Router, recorder: Recorder, *, gates: Path | None = None
    ) -> None:
        """`gates` is a folder that the workers share, for what bounds serverless variants."""
        self._gates = Gates(platform, gates)
        self._platform = platform
        self.router = router
        self._recorder = recorder
        self._library = Library(platform)
        self._shelf = Shelf()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._one_at_a_time = threading.Lock()
        platform.signals.subscribe("routes", lambda subject: self.refresh(key_of(subject)))

    async def start(self) -> None:
        """Take in every route there is."""
        self._loop = asyncio.get_running_loop()
        self._started.set()
        await asyncio.to_thread(self._load_all)

    def _load_all(self) -> None:
        with self._platform.store.read() as reader:
            rows = reader.scan_types("sagemaker", "route")
        for row in rows:
            key = endpoint_key(row.key)
            try:
                self.refresh(key, strict=False)
            except Exception:  # noqa: BLE001 - one endpoint that cannot be served must not keep the others from it
                _log.exception("%s cannot be served by this worker", key)

    def refresh(self, endpoint: Key, *, strict: bool = True) -> None:
        """Make this worker serve what the store says of an endpoint. Not on the event loop's thread. Raises what keeps it
        from serving; the route before stays then. With `strict` every replica must answer."""
        if not self._started.wait(30):
            raise RuntimeError("this worker has not begun to serve")
        with self._one_at_a_time:
            with self._platform.store.read() as reader:
                stored = reader.get(route_key(endpoint))
            if stored is None:
                captured = _captures(self.router.route(endpoint))
                self._gates.forget(endpoint)
                self._on_loop(self._remove(endpoint))
                for capture in captured:
                    self._recorder.finish(capture.terms.spool)
                return
            document = stored.document
            if not strict and _crashing(document):
                document = _without_crashing(document)
                wake(self._platform, endpoint)
            models = _load_models(document, self._known_models(endpoint))
            self._on_loop(self._install(endpoint, document, models, strict=strict))

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def _known_models(self, endpoint: Key) -> Mapping[str, Slot]:
        return {
            instance.name: instance
            for instance in instances_of(self.router.route(endpoint))
            if isinstance(instance, Slot)
        }

    async def _remove(self, endpoint: Key) -> None:
        many = many_of(self.router.route(endpoint))
        self.router.remove(endpoint)
        for container in many:
            container.close()

    def _many(self, endpoint: Key, document: Mapping[str, Any]) -> dict[str, ManyModels]:
        """The multi-model containers of a route by their groups, with what they hold already."""
        known = {one.described["group"]: one for one in many_of(self.router.route(endpoint))}
        described = [
            container["many"]
            for variant in document["variants"]
            for container in variant["containers"]
            if "many" in container
        ]
        made = {
            one["group"]: known.get(one["group"])
            or ManyModels(endpoint, one, self._library, self._shelf, _ready_model)
            for one in described
        }
        for one in described:
            made[one["group"]].described = one
        return made

    async def _install(
        self, endpoint: Key, document: Mapping[str, Any], models: Mapping[str, Slot], *, strict: bool
    ) -> None:
        known = {
            instance.address: instance
            for instance in instances_of(self.router.route(endpoint))
            if isinstance(instance, Replica)
        }
        replicas = {
            address: known.get(address) or self._replica(endpoint, address)
            for address in (one["address"] for one in _described(document) if "address" in one)
        }
        try:
            await asyncio.gather(
                *(_open(replica, strict=strict) for replica in replicas.values() if not replica.alive)
            )
        except BaseException:
            for address, replica in replicas.items():
                if address not in known:
                    replica.drain()
            raise
        instances: dict[str, Instance] = {**models, **replicas}
        component = document.get("InferenceComponentName", "")
        place = Place(endpoint.account, endpoint.region, document["EndpointName"], component)
        many = self._many(endpoint, document)
        variants = [
            _variant(described, instances, many, self._recorder, self._gates.of(endpoint, described))
            for described in document["variants"]
        ]
        before = many_of(self.router.route(endpoint))
        self.router.install(endpoint, Route(place, document["generation"], variants))
        for container in before:
            if container not in many.values():
                container.close()
        for container in many.values():
            container.forget_replicas(keep=set(replicas))

    def _replica(self, endpoint: Key, address: str) -> Replica:
        lost = partial(self._in_thread, partial(wake, self._platform, endpoint))
        return Replica(address, partial(self.router.changed, endpoint), lost)

    def _in_thread(self, work: Callable[[], None]) -> None:
        asyncio.get_running_loop().run_in_executor(None, work)


def _load_models(document: Mapping[str, Any], known: Mapping[str, Slot]) -> dict[str, Slot]:
    """Loaded, and each has made its prediction."""
    slots: dict[str, Slot] = {}
    for instance in _described(document):
        name = _name(instance)
        if "compiled" in instance and name not in slots:
            slots[name] = known.get(name) or _slot(name, instance)
    return slots


def _crashing(document: Mapping[str, Any]) -> bool:
    return any("compiled" in one and crashed(Path(one["compiled"])) for one in _described(document))


def _without_crashing(document: Mapping[str, Any]) -> dict[str, Any]:
    """The route without its instances that took a worker down. Calls wait until the endpoint has others in their place."""

    def behaves(one: Mapping[str, Any]) -> bool:
        return "compiled" not in one or not crashed(Path(one["compiled"]))

    variants = [
        {
            **variant,
            "containers": [
                {**container, "instances": [one for one in container["instances"] if behaves(one)]}
                for container in variant["containers"]
            ],
        }
        for variant in document["variants"]
    ]
    return {**document, "variants": variants}


def _slot(name: str, instance: Mapping[str, Any]) -> Slot:
    """One that rests has shown that it can answer, and is loaded anew when it is called."""
    model = _ready_model(instance)
    if "idle_seconds" not in instance:
        return Slot(name, model)
    return Resting(name, partial(_ready_model, instance), instance["idle_seconds"])


def _ready_model(instance: Mapping[str, Any]) -> Predicts:
    # Late: a worker without compiled models does without onnxruntime, numpy and their 30 MB.
    from colonnade.serving.compiled.predictor import Predictor

    folder = Path(instance["compiled"])
    if why := crashed(folder):
        raise RuntimeError(f"the compiled model {folder} took a worker down ({why})")
    with witness.noting(folder):
        model = Predictor(folder, instance.get("environment"))
        model.check()
    return Noted(model, folder)


async def _open(replica: Replica, *, strict: bool) -> None:
    try:
        await replica.open()
    except (OSError, TimeoutError, ReplicaLost) as error:
        if strict:
            raise RuntimeError(f"the replica at {replica.address} does not answer: {error}") from error
        replica.open_later()


def _described(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        instance
        for variant in document["variants"]
        for container in variant["containers"]
        for instance in container["instances"]
    ]


def _name(instance: Mapping[str, Any]) -> str:
    """Instances of the same name are one."""
    if "address" in instance:
        return str(instance["address"])
    rests = {"idle_seconds": instance["idle_seconds"]} if "idle_seconds" in instance else {}
    return json.dumps([instance["compiled"], instance.get("environment", {}), rests], sort_keys=True)


def _variant(
    described: Mapping[str, Any],
    instances: Mapping[str, Instance],
    many: Mapping[str, ManyModels],
    recorder: Recorder,
    gate: Gate | None,
) -> Variant:
    containers = [
        Container(
            container["name"],
            [instances[_name(instance)] for instance in container["instances"]],
            random_routing=described.get("routing") == "RANDOM",
            many=many[container["many"]["group"]] if "many" in container else None,
        )
        for container in described["containers"]
    ]
    terms = described.get("capture")
    capture = Capture(recorder, Terms.read(terms), described["name"]) if terms else None
    return Variant(
        described["name"],
        described["weight"],
        containers,
        described["direct"],
        capture,
        asynchronous.read(described["asynchronous"]) if described.get("asynchronous") else None,
        gate,
    )


def _captures(route: Route | None) -> list[Capture]:
    variants = [] if route is None else route.variants.values()
    return [variant.capture for variant in variants if variant.capture is not None]
