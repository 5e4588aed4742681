"""A multi-model container within a worker: finds the model that a call names, has it loaded, and asks it.

Made by `snapshot`, asked by `router`, which chooses the replica and sees to its death; all on the event loop. Where a model takes
long to come, its call is told to try again (ModelNotReadyException) while the loading goes on, so that the next one finds it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

from colonnade.kernel.store import Key
from colonnade.serving import faults
from colonnade.serving.frames import LOAD, NO_MEMORY, NOT_LOADED, STORE, Answer, Request
from colonnade.serving.hosted.documents import model_key, wanted
from colonnade.serving.hosted.library import Library, Unloadable
from colonnade.serving.hosted.shelf import Shelf, weight
from colonnade.serving.instances import Instance, Predicts, Slot

PATIENCE = 45.0
"""Seconds that a call waits for its model."""
_PIECE = 1 << 20
T = TypeVar("T")
Make = Callable[[Mapping[str, Any]], Predicts]
"""From {"compiled", "environment"} to the loaded model."""


class Counts(Protocol):
    """Of a variant: `routes.Counters`."""

    def note(self, metric: str, value: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Model:
    """What is known of one for as long as this worker serves the container."""

    target: str
    name: str
    """What replicas call it."""
    archive: Path
    folder: str
    """Of the compiled model; empty for one that a replica holds."""
    downloading: float


class ManyModels:
    def __init__(
        self,
        endpoint: Key,
        described: Mapping[str, Any],
        library: Library,
        shelf: Shelf,
        make: Make,
    ) -> None:
        self.described = described
        self._endpoint = endpoint
        self._library = library
        self._shelf = shelf
        self._make = make
        self._closed = False
        self._known: dict[str, Model] = {}
        self._coming: dict[tuple[str, str], asyncio.Task[Any]] = {}
        self._in_replicas: dict[str, int] = {}
        """How many models a replica said that it holds, by its address."""

    @property
    def loaded(self) -> int:
        """Models in memory: those in this worker, and those in replicas as they last said."""
        return self._shelf.count(id(self)) + sum(self._in_replicas.values())

    def close(self) -> None:
        """What is loading still may be waited for; it is kept no more."""
        self._closed = True
        self._shelf.clear(id(self))

    # Compiled models

    async def here(self, request: Request, counts: Counts) -> Answer | None:
        """The answer of a compiled model in this process; None for a model that a replica holds. Raises ServiceError:
        ValidationError, ModelNotReadyException."""
        target = request.model
        slot = self._shelf.get(id(self), target)
        if slot is not None:
            counts.note("ModelCacheHit", 1.0)
            return await slot.ask(request)
        began = time.perf_counter()
        try:
            slot = await self._compiled(target, counts)
        except Unloadable as finding:
            return Answer(finding.status, finding.message.encode(), "text/plain")
        if slot is None:
            return None
        counts.note("ModelCacheHit", 0.0)
        counts.note("ModelLoadingWaitTime", time.perf_counter() - began)
        return await slot.ask(request)

    async def _compiled(self, target: str, counts: Counts) -> Slot | None:
        """Taken into memory; None for a model that a replica holds. One that does not load as it was compiled is prepared anew, once:
        it may have been found since to be no model for this process."""
        for last in (False, True):
            model = self._known.get(target)
            if model is None:
                finding = self._once("find", target, lambda: self._found(target, counts))
                model = await self.in_time(target, finding)
            if not model.folder:
                return None
            try:
                loading = self._once("here", target, partial(self._take_in, model, counts))
                return await self.in_time(target, loading)
            except (RuntimeError, OSError) as error:
                if last:
                    raise Unloadable(500, str(error)) from error
                self._known.pop(target, None)
                await self._library.discard(self._key(target))
        return None

    def _key(self, target: str) -> Key:
        return model_key(self._endpoint, self.described["group"], target)

    async def _found(self, target: str, counts: Counts) -> Model:
        document = wanted(self.described, target)
        found = await self._library.find(self._key(target), lambda: document)
        prepared = found["prepared"]
        name = hashlib.sha256(f"{prepared['model']}/{target}".encode()).hexdigest()[:40]
        model = Model(
            target, name, Path(found["archive"]), prepared.get("folder", ""), found["downloading_seconds"]
        )
        counts.note("ModelDownloadingTime", model.downloading)
        self._known[target] = model
        return model

    async def _take_in(self, model: Model, counts: Counts) -> Slot:
        began = time.perf_counter()
        described = {"compiled": model.folder, "environment": self.described["environment"]}
        size = await asyncio.to_thread(weight, Path(model.folder))
        slot = Slot(model.target, await asyncio.to_thread(self._make, described))
        counts.note("ModelLoadingTime", time.perf_counter() - began)
        if self.described["cached"] and not self._closed:
            began = time.perf_counter()
            gone = self._shelf.put(id(self), model.target, slot, size, self.described["memory_bytes"])
            if gone:
                counts.note("ModelUnloadingTime", time.perf_counter() - began)
            counts.note("LoadedModelCount", self.loaded)
        return slot

    # Models in replicas

    def preference(self, target: str) -> str:
        """What calls of a model choose their replica by: the same one, as long as it is there."""
        return self._known[target].name

    async def ask(self, instance: Instance, request: Request, counts: Counts) -> Answer:
        """Of a model that a replica holds, known since `here`. Raises ReplicaLost, ModelNotReadyException."""
        model = self._known[request.model]
        asked = request._replace(model=model.name)
        answer = await instance.ask(asked)
        if answer.status != NOT_LOADED:
            counts.note("ModelCacheHit", 1.0)
            return answer
        counts.note("ModelCacheHit", 0.0)
        began = time.perf_counter()
        while answer.status == NOT_LOADED:
            loading = self._once(instance.name, model.target, lambda: self._load(instance, model, counts))
            refused = await self.in_time(model.target, loading)
            if refused is not None:
                return refused
            waited = time.perf_counter() - began
            answer = await instance.ask(asked)  # it may have had to go for another in between
        counts.note("ModelLoadingWaitTime", waited)
        return answer

    async def _load(self, instance: Instance, model: Model, counts: Counts) -> Answer | None:
        """None when the replica holds the model now, else what it says against it."""
        answer = await instance.ask(Request(LOAD, model=model.name))
        if answer.status == NOT_LOADED:
            token = uuid.uuid4().hex
            await self._send(instance, model, token)
            answer = await instance.ask(Request(LOAD, content_type=token, model=model.name))
        if answer.status == NO_MEMORY:
            return answer._replace(status=507)
        if answer.status not in (200, 409):
            return answer
        told = json.loads(answer.body)
        self._in_replicas[instance.name] = told["loaded"]
        if answer.status == 200:
            counts.note("ModelLoadingTime", told["loading_seconds"])
        if told["unloaded"]:
            counts.note("ModelUnloadingTime", told["unloading_seconds"])
        counts.note("LoadedModelCount", self.loaded)
        return None

    async def _send(self, instance: Instance, model: Model, token: str) -> None:
        with await asyncio.to_thread(model.archive.open, "rb") as file:
            while piece := await asyncio.to_thread(_read, file):
                await instance.ask(Request(STORE, piece, token, model=model.name))

    def forget_replicas(self, keep: set[str]) -> None:
        self._in_replicas = {name: count for name, count in self._in_replicas.items() if name in keep}

    # Waiting

    def _once(self, place: str, target: str, work: Callable[[], Coroutine[Any, Any, T]]) -> Awaitable[T]:
        """The same work for all who want it at this moment; it goes on when they stop waiting."""
        task = self._coming.get((place, target))
        if task is None:
            task = asyncio.get_running_loop().create_task(work())
            self._coming[place, target] = task
            task.add_done_callback(lambda done: self._ended((place, target), done))
        return asyncio.shield(task)

    def _ended(self, place: tuple[str, str], task: asyncio.Task[Any]) -> None:
        self._coming.pop(place, None)
        if not task.cancelled():
            task.exception()  # told to those who waited; nobody may be left

    async def in_time(self, target: str, work: Awaitable[T]) -> T:
        """Raises ModelNotReadyException."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await work
        except TimeoutError:
            raise faults.model_not_ready(target) from None


def _read(file: BinaryIO) -> bytes:
    return file.read(_PIECE)
