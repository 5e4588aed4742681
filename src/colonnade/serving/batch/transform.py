"""The instance's files through its lanes, in order: what comes out does not depend on how many lanes there are.

Payloads are handed out as lanes become free and written in the order of the files. Only some more of them than there are lanes are
under way at a time. A file whose records all succeeded has its output, under its name, once it is whole; one that failed has
none, and the others go on.
"""

from __future__ import annotations

import gzip
import select
import time
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from colonnade.formats import FormatError
from colonnade.serving.batch import failures
from colonnade.serving.batch.answering import LOCATE, OURS, answering
from colonnade.serving.batch.failures import Failure
from colonnade.serving.batch.lanes import Lane, LaneLost
from colonnade.serving.batch.payloads import Payload, payloads
from colonnade.serving.batch.plan import File, Plan
from colonnade.serving.frames import INVOKE, Answer, Request

_LOADING_SECONDS = 1800.0
_BROKEN_FILES = (FormatError, OSError, EOFError, zlib.error)


class NotLoaded(Exception):  # noqa: N818 - an outcome
    """No lane can load the model; the text says why."""


@dataclass(slots=True)
class Step:
    """A payload on its way, or the end of a file."""

    file: int
    payload: Payload | None = None
    body: bytes | None = None
    """The answer, once it is there."""
    failure: Failure | None = None
    failed: Answer | None = None
    """The failure whose record is being looked for."""
    attempts: int = 0

    @property
    def settled(self) -> bool:
        return self.payload is None or self.body is not None or self.failure is not None


@dataclass(slots=True)
class Slot:
    """A place for a lane, and what that is at work on."""

    lane: Lane
    deadline: float
    loading: bool = True
    step: Step | None = None


@dataclass(slots=True)
class Transform:
    plan: Plan
    base: Path
    failed: dict[int, Failure] = field(default_factory=dict)
    """By the number of the file."""
    _slots: list[Slot] = field(default_factory=list)
    _steps: deque[Step] = field(default_factory=deque)
    _output: BinaryIO | None = None

    def run(self) -> list[Failure]:
        """Why files failed, in their order. Raises NotLoaded."""
        most = self.plan.lanes
        for step in self._all_steps():
            self._steps.append(step)
            if step.payload is not None and not step.settled:
                self._give(self._free_slot(most), step)
            self._write_settled()
            while len(self._steps) > 2 * most:
                self._wait()
                self._write_settled()
        while self._steps:
            self._wait()
            self._write_settled()
        for slot in self._slots:
            slot.lane.end()
        return [self.failed[number] for number in sorted(self.failed)]

    # Reading

    def _all_steps(self) -> Iterator[Step]:
        for number, file in enumerate(self.plan.files):
            try:
                with self._opened(file) as source:
                    for payload in payloads(source, self.plan, file.name):
                        if number in self.failed:
                            break
                        yield Step(number, payload)
            except _BROKEN_FILES as error:
                yield Step(number, failure=self._unreadable(file, error))
            yield Step(number)

    def _opened(self, file: File) -> BinaryIO:
        path = self.base / file.path
        return cast(BinaryIO, gzip.open(path)) if self.plan.gzip else path.open("rb")

    def _unreadable(self, file: File, error: Exception) -> Failure:
        if isinstance(error, FormatError):
            place = "" if error.line is None else f"line {error.line}"
            text = str(error).removeprefix(f"{file.name}, {place}" if place else file.name).lstrip(":, ")
            return Failure(file.name, place, 0, text, by_user=True)
        kind = "is no gzip file, or a broken one" if self.plan.gzip else "cannot be read"
        return Failure(file.name, "", 0, f"the file {kind} ({error})", by_user=True)

    # Asking

    def _free_slot(self, most: int) -> Slot:
        while True:
            for slot in self._slots:
                if slot.step is None and not slot.loading:
                    return slot
            if len(self._slots) < most:
                self._slots.append(Slot(self._new_lane(), _after(_LOADING_SECONDS)))
                return self._slots[-1]
            self._wait()

    def _new_lane(self) -> Lane:
        return Lane(partial(answering, self.plan, self.base))

    def _give(self, slot: Slot, step: Step) -> None:
        """To a lane that still loads, it goes once that is done."""
        slot.step = step
        if not slot.loading:
            self._send(slot, step)

    def _send(self, slot: Slot, step: Step) -> None:
        assert step.payload is not None
        slot.deadline = _after(self.plan.timeout_seconds)
        try:
            slot.lane.send(Request(LOCATE if step.failed else INVOKE, step.payload.body))
        except LaneLost as lost:
            self._lost(slot, str(lost))

    def _wait(self) -> None:
        """Until something was answered, or is late."""
        asked = [slot for slot in self._slots if slot.loading or slot.step is not None]
        patience = max(0.0, min(slot.deadline for slot in asked) - time.monotonic())
        ready, _, _ = select.select([slot.lane for slot in asked], [], [], patience)
        for slot in asked:
            if slot.lane in ready:
                self._hear(slot)
            elif time.monotonic() >= slot.deadline:
                slot.lane.end()
                late = f"The model did not answer within {self.plan.timeout_seconds:g} seconds."
                self._lost(slot, "It was not there in time." if slot.loading else late)

    def _hear(self, slot: Slot) -> None:
        try:
            answer = slot.lane.receive()
        except LaneLost as lost:
            self._lost(slot, str(lost))
            return
        if answer is None:
            return
        if slot.loading:
            if answer.status != 200:
                raise NotLoaded(answer.body.decode("utf-8", "replace"))
            slot.loading = False
            if slot.step is not None:
                self._send(slot, slot.step)
        elif slot.step is not None:
            self._answered(slot, slot.step, answer)

    def _answered(self, slot: Slot, step: Step, answer: Answer) -> None:
        if step.failed is not None:
            self._fail(slot, step, step.failed._replace(custom_attributes=_place(answer)))
        elif answer.status <= 299:
            slot.step, step.body = None, answer.body
        elif answer.status >= 500 and answer.content_type != OURS and step.attempts < self.plan.retries:
            step.attempts += 1
            self._send(slot, step)
        elif step.payload is not None and step.payload.count > 1 and not answer.custom_attributes:
            step.failed = answer
            self._send(slot, step)
        else:
            self._fail(slot, step, answer)

    def _lost(self, slot: Slot, why: str) -> None:
        """Another lane in its place, which tries again what it was asked, as often as is allowed."""
        if slot.loading:
            raise NotLoaded(why)
        step = slot.step
        slot.lane, slot.loading, slot.deadline = self._new_lane(), True, _after(_LOADING_SECONDS)
        if step is None:
            return
        if step.failed is not None:
            self._fail(slot, step, step.failed)
        elif step.attempts < self.plan.retries:
            step.attempts += 1
        else:
            self._fail(slot, step, Answer(0, why.encode()))

    def _fail(self, slot: Slot, step: Step, answer: Answer) -> None:
        assert step.payload is not None
        slot.step = None
        step.failure = failures.of_answer(self.plan.files[step.file].name, step.payload, self.plan, answer)
        self.failed.setdefault(step.file, step.failure)

    # Writing

    def _write_settled(self) -> None:
        while self._steps and self._steps[0].settled:
            self._write(self._steps.popleft())

    def _write(self, step: Step) -> None:
        target = self.base / self.plan.files[step.file].output
        draft = target.with_name(f".{target.name}")
        if step.failure is not None:
            self.failed.setdefault(step.file, step.failure)
        if self._output is None:
            self._output = draft.open("wb")
        if step.body:
            self._output.write(step.body)
            if self.plan.assemble == "Line" and not step.body.endswith(b"\n"):
                self._output.write(b"\n")
        if step.payload is None and step.failure is None:
            self._output.close()
            self._output = None
            draft.unlink() if step.file in self.failed else draft.replace(target)


def _after(seconds: float) -> float:
    return time.monotonic() + seconds


def _place(answer: Answer) -> str:
    found = answer.body.decode("ascii", "replace")
    return found if answer.status == 200 and found.isdecimal() and found != "0" else ""
