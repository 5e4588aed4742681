"""Data capture on the worker's side: samples of what endpoints are asked and answer, written beside the request's way.

A worker notes the sampled calls of its variants in memory; a thread of its own turns them into JSON lines every half second and
appends them to files below `<data>/capture`, from where the endpoint's reconciler brings them to S3 (`Spool`). So kill -9
loses at most the calls of the last half second, and neither a slow disk nor a slow bucket ever holds up a call.
"""

from __future__ import annotations

import base64
import fcntl
import json
import logging
import shutil
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, BinaryIO

_log = logging.getLogger(__name__)
FLUSH_SECONDS = 0.5
"""What kill -9 of a worker can lose."""
_ROTATE_SECONDS = 20.0
_ROTATE_BYTES = 4 * 1024 * 1024
_MOST_PENDING = 64 * 1024 * 1024
"""Bytes of bodies that may wait for the disk; samples beyond them are dropped and counted, not piled up."""
_OPEN, _CLOSED = ".part", ".jsonl"


@dataclass(frozen=True, slots=True)
class Terms:
    """What of an endpoint's calls is captured: its DataCaptureConfig."""

    spool: str
    """The endpoint's own folder: a name that no other endpoint has or had."""
    share: float
    """Of calls, from 0 to 1."""
    modes: frozenset[str] = frozenset(("INPUT", "OUTPUT"))
    csv: frozenset[str] = frozenset()
    """Media types whose bodies are written as text and called CSV; likewise `json`. Others are written in base64."""
    json: frozenset[str] = frozenset()

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Terms:
        """From a route's document."""
        return cls(
            document["spool"],
            document["share"],
            frozenset(document["modes"]),
            frozenset(document["csv"]),
            frozenset(document["json"]),
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """One call, as it went over the wire."""

    body: bytes
    content_type: str
    answer: bytes
    answer_type: str
    custom_attributes: str = ""
    inference_id: str = ""

    @property
    def size(self) -> int:
        return len(self.body) + len(self.answer)


@dataclass(slots=True)
class Capture:
    """What a variant's calls pass: cheap, and never in their way."""

    recorder: Recorder
    terms: Terms
    variant: str

    def wants(self, rng: Random) -> bool:
        """Whether to `note` this call: each one is drawn independently, both of its sides together."""
        return rng.random() < self.terms.share

    def note(self, sample: Sample) -> None:
        self.recorder.note(self, sample)


@dataclass(slots=True)
class _File:
    path: Path
    stream: BinaryIO
    opened: float
    hour: str
    size: int = 0


@dataclass(slots=True)
class Recorder:
    """One per worker; from its event loop only `note` is called."""

    root: Path
    now: Callable[[], float] = time.time
    """Epoch seconds, by the platform's clock."""
    dropped: int = 0
    """Samples that were not kept, because the disk could not keep up or refused."""
    _pending: deque[tuple[float, Capture, Sample]] = field(default_factory=deque)
    _noted: int = 0
    """Bytes so far, counted by the event loop alone, as `_written` is by whoever writes."""
    _written: int = 0
    _files: dict[tuple[str, str], _File] = field(default_factory=dict)
    _writing: threading.Lock = field(default_factory=threading.Lock)
    _wanted: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def note(self, capture: Capture, sample: Sample) -> None:
        if self._noted - self._written + sample.size > _MOST_PENDING:
            self.dropped += 1
            return
        self._noted += sample.size
        self._pending.append((self.now(), capture, sample))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
            self._thread.start()
        self._wanted.set()

    def finish(self, spool: str) -> None:
        """Write what was noted for an endpoint and close its files: nothing of it follows. From any thread."""
        self._write()
        with self._writing:
            for place in [place for place in self._files if place[0] == spool]:
                self._close(place)

    def _run(self) -> None:
        while True:
            self._wanted.wait(_ROTATE_SECONDS if self._files else None)
            self._wanted.clear()
            time.sleep(FLUSH_SECONDS)
            self._write()

    def _write(self) -> None:
        with self._writing:
            lines: dict[tuple[str, str, str], list[bytes]] = {}
            for _ in range(len(self._pending)):
                at, capture, sample = self._pending.popleft()
                self._written += sample.size
                place = (capture.terms.spool, capture.variant, _hour(at))
                lines.setdefault(place, []).append(line(capture.terms, sample, at))
            for (spool, variant, hour), ready in lines.items():
                try:
                    self._append(spool, variant, hour, b"".join(ready))
                except OSError:
                    self.dropped += len(ready)
                    _log.exception("%d captured calls of %s could not be kept", len(ready), variant)
            self._rotate()

    def _append(self, spool: str, variant: str, hour: str, data: bytes) -> None:
        place = (spool, variant)
        known = self._files.get(place)
        if known is not None and (known.hour != hour or known.size >= _ROTATE_BYTES):
            self._close(place)
            known = None
        if known is None:
            known = self._files[place] = _begin(self.root / spool / variant, hour, self.now())
        known.stream.write(data)
        known.size += len(data)

    def _rotate(self) -> None:
        oldest = time.monotonic() - _ROTATE_SECONDS
        for place in [place for place, file in self._files.items() if file.opened <= oldest]:
            self._close(place)

    def _close(self, place: tuple[str, str]) -> None:
        file = self._files.pop(place)
        # Renamed while it is locked, so that nobody takes it for one of a writer that died.
        with file.stream, suppress(FileNotFoundError):  # the endpoint and its folder are gone
            file.path.rename(file.path.with_suffix(_CLOSED))


def _begin(folder: Path, hour: str, now: float) -> _File:
    folder.mkdir(parents=True, exist_ok=True)
    moment = datetime.fromtimestamp(now, UTC)
    name = f"{hour}T{moment:%M-%S}-{moment.microsecond // 1000:03}-{uuid.uuid4()}{_OPEN}"
    # Unbuffered: what has been written is the system's to keep, whatever becomes of this process.
    stream = (folder / name).open("xb", buffering=0)
    # Held as long as this process lives: whoever gets it knows that nobody writes here any more.
    fcntl.flock(stream, fcntl.LOCK_EX)
    return _File(folder / name, stream, time.monotonic(), hour)


def line(terms: Terms, sample: Sample, at: float) -> bytes:
    """The captured call as SageMaker writes it: a JSON object and a line's end."""
    data: dict[str, Any] = {}
    if "INPUT" in terms.modes:
        data["endpointInput"] = _side(terms, "INPUT", sample.body, sample.content_type)
    if "OUTPUT" in terms.modes:
        data["endpointOutput"] = _side(terms, "OUTPUT", sample.answer, sample.answer_type)
    event: dict[str, Any] = {"eventId": str(uuid.uuid4())}
    if sample.custom_attributes:
        event["customAttributes"] = [sample.custom_attributes]
    if sample.inference_id:
        event["inferenceId"] = sample.inference_id
    event["inferenceTime"] = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
    whole = {"captureData": data, "eventMetadata": event, "eventVersion": "0"}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _side(terms: Terms, mode: str, body: bytes, content_type: str) -> dict[str, str]:
    text, encoding = _text(body, _encoding(terms, content_type))
    return {"observedContentType": content_type, "mode": mode, "data": text, "encoding": encoding}


def _encoding(terms: Terms, content_type: str) -> str:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in terms.csv:
        return "CSV"
    return "JSON" if media_type in terms.json else "BASE64"


def _text(body: bytes, encoding: str) -> tuple[str, str]:
    if encoding != "BASE64":
        with suppress(UnicodeDecodeError):
            return body.decode(), encoding
    return base64.b64encode(body).decode(), "BASE64"


def _hour(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d-%H}"


# What the leader does with the files


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file that nobody writes any more."""

    path: Path
    variant: str

    @property
    def key(self) -> str:
        """Below the destination and the endpoint's name: `<variant>/yyyy/mm/dd/hh/MM-SS-mmm-<uuid>.jsonl`."""
        hour, _, name = self.path.name.partition("T")
        return f"{self.variant}/{hour.replace('-', '/')}/{name}"


@dataclass(frozen=True, slots=True)
class Spool:
    """The folder `<data>/capture`, as the leader sees it."""

    root: Path

    def complete(self, spool: str) -> list[Spooled]:
        """An endpoint's files that nobody writes any more, those of workers that have died included."""
        folder = self.root / spool
        found: list[Spooled] = []
        for path in sorted(folder.glob("*/*")):
            complete = path if path.suffix == _CLOSED else _inherited(path)
            if complete is not None:
                found.append(Spooled(complete, path.parent.name))
        return found

    def forget(self, spool: str) -> None:
        shutil.rmtree(self.root / spool, ignore_errors=True)


def _inherited(path: Path) -> Path | None:
    """The file under its final name, without the line that a death cut off; None while its writer lives."""
    try:
        stream = path.open("r+b")
    except FileNotFoundError:
        return None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        if not path.exists():  # its writer closed it meanwhile: it has its final name
            return None
        content = stream.read()
        stream.truncate(content.rfind(b"\n") + 1)
        complete = path.with_suffix(_CLOSED)
        path.rename(complete)
        return complete
