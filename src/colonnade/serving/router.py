"""Answers invocations: variant by weight, instance by load, and another try when a replica dies under a call.

One per gateway worker, on its event loop; `snapshot` tells it what to serve. It knows requests and predictions, no
transport. The idea behind retries: a call whose replica died is asked again of another replica, or of the replacement when
it comes, so a crash costs its callers time and no errors. But the call at the head of the line may be what killed it:
when a second replica dies under the same call, it is the call's fault, and it is answered so.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.store import Key
from colonnade.serving import faults
from colonnade.serving.capture import Sample
from colonnade.serving.connection import ReplicaLost
from colonnade.serving.frames import INVOKE, Request
from colonnade.serving.frames import Answer as ReplicaAnswer
from colonnade.serving.hosted.container import ManyModels
from colonnade.serving.instances import Instance
from colonnade.serving.routes import Counters, Route, Variant, instances_of
from colonnade.serving.serverless.gate import LARGEST, Gate
from colonnade.serving.serverless.resting import Resting
from colonnade.serving.streams import Stream, Streamed, whole

DEADLINE = 60.0
"""Seconds in which an invocation must be answered, waiting for a replacement included; of a stream, each part."""
STREAM_DEADLINE = 480.0
"""Seconds in which the last part of a stream must have come."""
_SMALL = 16 * 1024
"""Bytes of a body that a compiled model answers before anybody would notice."""
QUEUE = 128
"""Calls of a worker that an instance may have before it; and that may wait for one to come."""
_TOO_LATE = 504
"""What an instance is held to have answered that did not answer in time."""
_NOT_ALONE = contextlib.nullcontext()
_DEATHS = 2
"""Replicas that may die under a call before it is held to be the reason."""


class Invocation(NamedTuple):
    body: bytes
    content_type: str = ""
    accept: str = ""
    custom_attributes: str = ""
    target_variant: str = ""
    inference_id: str = ""
    target_container: str = ""
    target_model: str = ""


class Answer(NamedTuple):
    body: bytes
    content_type: str
    variant: str
    custom_attributes: str = ""


class StreamedAnswer(NamedTuple):
    parts: Streamed
    """To be iterated to the end, or closed. Raises ServiceError: ModelStreamError."""
    content_type: str
    variant: str
    custom_attributes: str


Ask = Callable[[Instance, Request], Awaitable[ReplicaAnswer]]


async def _ask(instance: Instance, request: Request) -> ReplicaAnswer:
    return await instance.ask(request)


class Router:
    def __init__(
        self,
        *,
        seed: int | None = None,
        deadline: float = DEADLINE,
        stream_deadline: float = STREAM_DEADLINE,
        queue: int = QUEUE,
    ) -> None:
        self._queue = queue
        self._stream_deadline = stream_deadline
        self._random = self.random = random.Random(seed)
        self._deadline = deadline
        self._routes: dict[Key, Route] = {}
        self._waiting: dict[Key, set[asyncio.Future[None]]] = {}
        self._counters: dict[tuple[Key, str], Counters] = {}
        self._taken: dict[tuple[Key, str], Counters] = {}

    # What snapshot tells

    def route(self, key: Key) -> Route | None:
        return self._routes.get(key)

    def routes(self) -> Mapping[Key, Route]:
        return self._routes

    def install(self, key: Key, route: Route) -> None:
        """From now on calls see this route. Instances that it leaves out finish what they were asked."""
        for variant in route.variants.values():
            variant.counters = self._counters.setdefault((key, variant.name), variant.counters)
        old = self._routes.get(key)
        self._routes[key] = route
        self._drain(old, keep=route)
        self.changed(key)

    def remove(self, key: Key) -> None:
        self._drain(self._routes.pop(key, None), keep=None)
        self.changed(key)

    def changed(self, key: Key) -> None:
        """Calls that wait for an instance look again."""
        for future in self._waiting.pop(key, ()):
            if not future.done():
                future.set_result(None)

    def _drain(self, old: Route | None, *, keep: Route | None) -> None:
        kept = {id(instance) for instance in instances_of(keep)}
        for instance in instances_of(old):
            if id(instance) not in kept:
                instance.drain()

    def take_counters(self) -> Mapping[tuple[Key, str], Counters]:
        """Per endpoint and variant since the last call; the counting starts anew."""
        taken = {place: counters.take() for place, counters in self._counters.items() if counters}
        for place, counters in taken.items():
            self._taken.setdefault(place, Counters()).add(counters)
        return taken

    def totals(self) -> Mapping[tuple[Key, str], Counters]:
        """Per endpoint and variant since this router was made, whatever was taken meanwhile. From any thread."""
        totals: dict[tuple[Key, str], Counters] = {}
        for counted in (self._taken.copy(), self._counters.copy()):
            for place, counters in counted.items():
                totals.setdefault(place, Counters()).add(counters)
        return totals

    def loaded_models(self) -> Mapping[tuple[Key, str], int]:
        """Per endpoint and variant with many models, how many of them are in memory as far as this worker knows."""
        return {
            (key, variant.name): sum(one.many.loaded for one in variant.containers if one.many is not None)
            for key, route in self._routes.copy().items()
            for variant in route.variants.values()
            if variant.many
        }

    def measure(self, key: Key, variant: str, metric: str, value: float = 1.0) -> None:
        """On the event loop, like all counting."""
        self._counters.setdefault((key, variant), Counters()).note(metric, value)

    # What calls ask

    def answers_at_once(self, key: Key, body: bytes) -> bool:
        """Whether `invoke` waits for nothing: compiled models are all there is, and the body is small."""
        route = self._routes.get(key)
        if route is None or len(body) > _SMALL:
            return False
        return None not in [variant.slot for variant in route.variants.values()]

    async def invoke(self, key: Key, invocation: Invocation, *, name: str = "") -> Answer:
        """`name` is the endpoint's as the caller wrote it. Raises ServiceError: ValidationError, ModelError,
        ServiceUnavailable."""
        route = self._routes.get(key)
        if route is None:
            raise faults.endpoint_not_found(key.account, name or key.name)
        variant = route.choose(invocation.target_variant, self._random)
        counters = variant.counters
        request = Request(
            INVOKE,
            invocation.body,
            invocation.content_type,
            invocation.accept,
            invocation.custom_attributes,
            invocation.target_model,
        )
        slot = variant.slot
        if slot is None or invocation.target_container or invocation.target_model:
            path = variant.path(route.place, invocation.target_container, invocation.target_model)
        began = time.perf_counter()
        try:
            if slot is not None:
                if slot.outstanding >= self._queue:
                    self._check_queue(route, variant, slot.outstanding)
                container, answer = variant.containers[0].name, await slot.ask(request)
            elif variant.gate is not None:
                container, answer = await self._through(variant.gate, key, route, variant, request)
            else:
                container, answer = await self._walk(key, route, variant, path, request)
        except ServiceError as error:
            if (error.status or 400) < 500 and error.code != "ModelError":
                counters.client_errors += 1
            else:
                counters.server_errors += 1
            raise
        finally:
            counters.invocations += 1
            counters.latency.add((time.perf_counter() - began) * 1e6)
        if 200 <= answer.status < 300:
            if (capture := variant.capture) is not None and capture.wants(self._random):
                capture.note(_sample(invocation, answer))
            return Answer(answer.body, answer.content_type, variant.name, answer.custom_attributes)
        if 400 <= answer.status < 500:
            counters.client_errors += 1
        else:
            counters.server_errors += 1
        raise faults.model_error(route.place, container, answer.status, answer.body)

    async def run(self, key: Key, invocation: Invocation, *, seconds: float) -> Answer:
        """An invocation out of an asynchronous endpoint's queue, with a deadline of its own. Raises ServiceError like `invoke`, and
        ReplicaLost when the replicas that worked on it died: the queue counts those deaths."""
        route = self._routes.get(key)
        if route is None:
            raise faults.endpoint_not_found(key.account, key.name)
        variant = route.choose(invocation.target_variant, self._random)
        request = Request(
            INVOKE,
            invocation.body,
            invocation.content_type,
            invocation.accept,
            invocation.custom_attributes,
        )
        path = range(len(variant.containers))
        container, answer = await self._walk(key, route, variant, path, request, seconds=seconds)
        if answer.body == faults.KILLED_TWICE.encode() and answer.status == 500:
            raise ReplicaLost(suspect=True)
        if not 200 <= answer.status < 300:
            raise faults.model_error(route.place, container, answer.status, answer.body)
        return Answer(answer.body, answer.content_type, variant.name, answer.custom_attributes)

    async def _through(
        self, gate: Gate, key: Key, route: Route, variant: Variant, request: Request
    ) -> tuple[str, ReplicaAnswer]:
        """A call of a serverless variant: within its bounds, and by an instance of its own as soon as there is one."""
        if len(request.body) > LARGEST:
            raise faults.too_large(route.place, "request", len(request.body), LARGEST)
        place = gate.enter()
        if place is None:
            raise faults.throttled(route.place, gate.limit)
        try:
            await self._set_up(key, route, variant)
            container, answer = await self._walk(key, route, variant, (0,), request)
        finally:
            gate.leave(place)
            self.changed(key)  # whoever waits for an instance that is free may have this one
        if len(answer.body) > LARGEST:
            raise faults.too_large(route.place, "response", len(answer.body), LARGEST)
        return container, answer

    async def _set_up(self, key: Key, route: Route, variant: Variant) -> None:
        """Returns when an instance is free. What a cold start took is noted."""
        began, cold = time.perf_counter(), not variant.warm
        try:
            async with asyncio.timeout(self._deadline):
                instance = await self._free(key, variant)
                if isinstance(instance, Resting):
                    await instance.ready()
        except TimeoutError:
            raise faults.not_ready(route.place, variant.name) from None
        if cold:
            variant.counters.note("ModelSetupTime", (time.perf_counter() - began) * 1e6)

    async def _free(self, key: Key, variant: Variant) -> Instance:
        while True:
            instance = await self._instance(key, variant, 0)
            if isinstance(instance, Resting) or not instance.outstanding:
                return instance
            await self._change(key)

    async def stream(self, key: Key, invocation: Invocation, *, name: str = "") -> StreamedAnswer:
        """Like `invoke`, but the last container's answer comes as the model makes it, once its first part is there."""
        route = self._routes.get(key)
        if route is None:
            raise faults.endpoint_not_found(key.account, name or key.name)
        variant = route.choose(invocation.target_variant, self._random)
        path = variant.path(route.place, invocation.target_container, invocation.target_model)
        if variant.gate is not None:
            raise faults.not_offered(
                "InvokeEndpointWithResponseStream", "serverless endpoints do not stream. Use InvokeEndpoint."
            )
        request = Request(
            INVOKE, invocation.body, invocation.content_type, invocation.accept, invocation.custom_attributes
        )
        opened: list[Stream] = []

        async def begin(instance: Instance, request: Request) -> ReplicaAnswer:
            stream = await instance.stream(request)
            if stream.head.status < 300:
                opened.append(stream)
                return stream.head
            return stream.head._replace(body=await whole(stream))

        began, counters = asyncio.get_running_loop().time(), variant.counters
        counters.invocations += 1
        try:
            container, head = await self._walk(key, route, variant, path, request, begin)
        except ServiceError as error:
            self._count(counters, (error.status or 500) if error.code != "ModelError" else 500)
            raise
        finally:
            counters.latency.add((asyncio.get_running_loop().time() - began) * 1e6)
        if not 200 <= head.status < 300:
            self._count(counters, head.status)
            raise faults.model_error(route.place, container, head.status, head.body)
        parts = Streamed(opened[-1], route.place, gap=self._deadline, until=began + self._stream_deadline)
        return StreamedAnswer(parts, head.content_type, variant.name, head.custom_attributes)

    def _count(self, counters: Counters, status: int) -> None:
        if 400 <= status < 500:
            counters.client_errors += 1
        else:
            counters.server_errors += 1

    async def _walk(
        self,
        key: Key,
        route: Route,
        variant: Variant,
        path: Sequence[int],
        request: Request,
        ask_last: Ask = _ask,
        *,
        seconds: float = 0.0,
    ) -> tuple[str, ReplicaAnswer]:
        """The last container's name and answer, or those of the first that refuses. What a container answers is what the next
        one is asked; only the last learns what the caller accepts."""
        until = asyncio.get_running_loop().time() + (seconds or self._deadline)
        custom_attributes = ""
        for number in path:
            last = number == path[-1]
            asked = request if last else request._replace(accept="")
            began = time.perf_counter()
            ask = ask_last if last else _ask
            answer = await self._answer(key, route, variant, number, asked, until, ask)
            container = variant.containers[number].name
            if len(path) > 1:
                variant.counters.add_container(container, time.perf_counter() - began)
            custom_attributes = answer.custom_attributes or custom_attributes
            if not 200 <= answer.status < 300:
                break
            request = request._replace(body=answer.body, content_type=answer.content_type)
        return container, answer._replace(custom_attributes=custom_attributes)

    async def _answer(
        self,
        key: Key,
        route: Route,
        variant: Variant,
        number: int,
        request: Request,
        until: float,
        ask: Ask,
    ) -> ReplicaAnswer:
        asked = shared = False
        deaths = 0
        container = variant.containers[number]
        many = container.many
        try:
            async with asyncio.timeout_at(until):
                if many is not None:
                    return await self._one_of_many(key, variant, number, many, request)
                while deaths < _DEATHS:
                    async with container.suspects if shared else _NOT_ALONE:
                        instance, asked = await self._instance(key, variant, number), True
                        self._check_queue(route, variant, instance.outstanding)
                        began = time.perf_counter()
                        try:
                            answer = await ask(instance, request)
                        except ReplicaLost as lost:
                            deaths, asked = deaths + lost.suspect, False
                            shared = lost.suspect and lost.among > 1
                        else:
                            container.saw(instance, answer.status, time.perf_counter() - began)
                            return answer
        except TimeoutError:
            if asked:
                container.saw(instance, _TOO_LATE, self._deadline)
                raise faults.timed_out(route.place, variant.containers[number].name) from None
            raise faults.unavailable(route.place, variant.name) from None
        return ReplicaAnswer(500, faults.KILLED_TWICE.encode(), "text/plain")

    async def _one_of_many(
        self, key: Key, variant: Variant, number: int, many: ManyModels, request: Request
    ) -> ReplicaAnswer:
        answer = await many.here(request, variant.counters)
        deaths = 0
        while answer is None and deaths < _DEATHS:
            chosen = self._instance(key, variant, number, many.preference(request.model))
            instance = await many.in_time(request.model, chosen)
            try:
                answer = await many.ask(instance, request, variant.counters)
            except ReplicaLost as lost:
                deaths += lost.suspect
        return answer or ReplicaAnswer(500, faults.KILLED_TWICE.encode(), "text/plain")

    async def _instance(self, key: Key, asked: Variant, number: int, model: str = "") -> Instance:
        """An instance of one container that is alive, as soon as there is one; for a `model`, the one that it prefers."""
        while True:
            route = self._routes.get(key)
            if route is None:
                raise faults.endpoint_not_found(key.account, key.name)
            variant = route.variants.get(asked.name)
            if variant is None or len(variant.containers) != len(asked.containers):
                raise faults.variant_not_found(route.place, asked.name)
            container = variant.containers[number]
            instance = container.pick_for(model) if model else container.pick(self._random)
            if instance is not None:
                return instance
            self._check_queue(route, variant, len(self._waiting.get(key, ())))
            await self._change(key)

    def _check_queue(self, route: Route, variant: Variant, waiting: int) -> None:
        """A call that would wait behind too many is refused at once: its caller learns more by that than by a time-out."""
        if waiting >= self._queue:
            raise faults.overloaded(route.place, variant.name, waiting)

    async def _change(self, key: Key) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(key, set())
        waiting.add(future)
        try:
            await future
        finally:
            waiting.discard(future)


def _sample(invocation: Invocation, answer: ReplicaAnswer) -> Sample:
    return Sample(
        invocation.body,
        invocation.content_type,
        answer.body,
        answer.content_type,
        invocation.custom_attributes,
        invocation.inference_id,
    )
