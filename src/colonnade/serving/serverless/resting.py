"""A compiled model that is loaded at its first call and let go after some time without one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from colonnade.serving.frames import Answer, Request
from colonnade.serving.instances import Predicts, Slot


class Resting(Slot):
    """Like a Slot, with a model only while it is used."""

    def __init__(self, name: str, load: Callable[[], Predicts], idle_seconds: float) -> None:
        """`load` may take long, and is called in a thread."""
        super().__init__(name, _Absent())
        self._load = load
        self._idle_seconds = idle_seconds
        self._loading: asyncio.Future[Predicts] | None = None
        self._used = 0.0
        self._under_way = 0
        self.loaded = False

    async def ready(self) -> None:
        """Returns once the model is there. Callers at the same time wait for one loading."""
        if self.loaded:
            return
        loop = asyncio.get_running_loop()
        if self._loading is None:
            self._loading = loop.run_in_executor(None, self._load)
        loading = self._loading
        try:
            model = await asyncio.shield(loading)
        finally:
            if loading.done() and self._loading is loading:
                self._loading = None
        if not self.loaded:
            self._model, self.loaded = model, True
            self._used = loop.time()
            loop.call_later(self._idle_seconds, self._rest)

    async def ask(self, request: Request) -> Answer:
        self._under_way += 1
        try:
            await self.ready()
            return await super().ask(request)
        finally:
            self._under_way -= 1
            self._used = asyncio.get_running_loop().time()

    def _rest(self) -> None:
        loop = asyncio.get_running_loop()
        left = self._used + self._idle_seconds - loop.time()
        if left > 0 or self._under_way:
            loop.call_later(max(left, self._idle_seconds / 4), self._rest)
        else:
            self._model, self.loaded = _Absent(), False

    def drain(self) -> None:
        self._idle_seconds = 0.0


class _Absent:
    def invoke(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        raise RuntimeError("a model that is not loaded was asked")
