"""A replica that holds many models: loads one when it is told to, and lets the least recently used go when memory is short.

The worker's side is `colonnade.serving.hosted`. A model's archive comes in pieces over the socket, since the process sees nothing of
the server's data, and is unpacked to `/opt/ml/models/<model>/model`. Unloaded models stay there until the space is wanted,
so that loading one again needs no archive. What counts as memory is what the process really takes (its resident set).
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import shutil
import tarfile
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from colonnade.serving.frames import LOAD, NO_MEMORY, NOT_LOADED, STORE, UNLOAD, Answer, Request
from colonnade.serving.replica.server import Parts

Invoke = Callable[[Request], Answer | Parts]
Load = Callable[[Path], Invoke]
"""From a model's folder to what answers for it. Raises whatever the user's code does."""


@dataclass(frozen=True, slots=True)
class Bounds:
    memory: int
    """Bytes of this process."""
    disk: int
    """Bytes of unpacked models."""
    cached: bool = True
    """ModelCacheSetting; without it a model goes after each call."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Bounds:
        return cls(
            int(environ["COLONNADE_MEMORY_BYTES"]),
            int(environ["COLONNADE_DISK_BYTES"]),
            environ.get("COLONNADE_MODEL_CACHE") != "Disabled",
        )


class Many:
    """Called by the replica's one thread."""

    def __init__(self, folder: Path, load: Load, bounds: Bounds) -> None:
        self._folder = folder
        self._load = load
        self._bounds = bounds
        self._loaded: OrderedDict[str, Invoke] = OrderedDict()
        """The least recently used first."""
        self._unpacked: OrderedDict[str, int] = OrderedDict()
        """Bytes of each model on the disk."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def handle(self, request: Request) -> Answer | Parts:
        match request.kind:
            case k if k == STORE:
                return self._store(request)
            case k if k == LOAD:
                return self._take_in(request)
            case k if k == UNLOAD:
                return Answer(200 if self._drop(request.model) else 404, b"")
            case _:
                return self._invoke(request)

    def _invoke(self, request: Request) -> Answer | Parts:
        model = self._loaded.get(request.model)
        if model is None:
            return Answer(NOT_LOADED, b"")
        self._loaded.move_to_end(request.model)
        try:
            return model(request)
        finally:
            if not self._bounds.cached:
                self._drop(request.model)

    # Archives

    def _store(self, request: Request) -> Answer:
        """A piece, at the end of those before it. Each upload has its own file, so that two workers do not mix theirs."""
        with self._upload(request).open("ab") as file:
            file.write(request.body)
        return Answer(200, b"")

    def _upload(self, request: Request) -> Path:
        return self._folder / f"{request.model}.{request.content_type}.part"

    def _unpack(self, request: Request) -> None:
        archive, target = self._upload(request), self._folder / request.model
        shutil.rmtree(target, ignore_errors=True)
        try:
            with tarfile.open(archive) as opened:
                size = sum(member.size for member in opened)
                self._make_place(size)
                opened.extractall(target / "model", filter="data")
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        finally:
            archive.unlink(missing_ok=True)
        self._unpacked[request.model] = size

    def _make_place(self, size: int) -> None:
        for model in [model for model in self._unpacked if model not in self._loaded]:
            if sum(self._unpacked.values()) + size <= self._bounds.disk:
                return
            shutil.rmtree(self._folder / model, ignore_errors=True)
            del self._unpacked[model]

    # Memory

    def _take_in(self, request: Request) -> Answer:
        """200 with how that went, 409 when it is there already, NOT_LOADED when its archive is wanted, NO_MEMORY."""
        name = request.model
        if name in self._loaded:
            return self._told(409)
        try:
            if request.content_type and name not in self._unpacked:
                self._unpack(request)
            if name not in self._unpacked:
                return Answer(NOT_LOADED, b"")
            began = time.perf_counter()
            gone, freeing = self._make_room(self._unpacked[name])
            self._loaded[name] = self._load(self._folder / name / "model")
            after = self._make_room(0, keep=name)
        except Exception as error:  # noqa: BLE001 - the archive and the code in it are anybody's; their errors are answers
            traceback.print_exc()
            return Answer(500, f"{type(error).__name__}: {error}".encode(), "text/plain")
        self._unpacked.move_to_end(name)
        if resident() > self._bounds.memory:
            self._drop(name)
            text = f"The model needs more memory than the instance has ({self._bounds.memory >> 20} MiB)."
            return Answer(NO_MEMORY, text.encode(), "text/plain")
        freeing += after[1]
        return self._told(200, time.perf_counter() - began - freeing, gone + after[0], freeing)

    def _told(self, status: int, loading: float = 0.0, gone: int = 0, freeing: float = 0.0) -> Answer:
        told = {
            "loaded": len(self._loaded),
            "loading_seconds": loading,
            "unloaded": gone,
            "unloading_seconds": freeing,
        }
        return Answer(status, json.dumps(told).encode(), "application/json")

    def _make_room(self, wanted: int, keep: str = "") -> tuple[int, float]:
        """How many models had to go, and how long that took."""
        gone, began = 0, time.perf_counter()
        while resident() + wanted > self._bounds.memory:
            oldest = next(iter(self._loaded), keep)
            if oldest == keep:
                break
            self._drop(oldest)
            gone += 1
        return gone, time.perf_counter() - began

    def _drop(self, name: str) -> bool:
        if self._loaded.pop(name, None) is None:
            return False
        gc.collect()
        _give_back()
        return True


def resident() -> int:
    """Bytes of memory that this process takes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _give_back() -> None:
    """What the C library keeps of freed memory, to the system; elsewhere than on glibc it stays with the process."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
