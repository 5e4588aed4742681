"""What a lane does with a payload: filter, model, join, filter. Runs in the lane's process, where the model is loaded.

An answer above 299 is a failure: the model's own status with what it said, or `UNPROCESSABLE` (a record cannot be filtered) and
`MISMATCHED` (an answer cannot be joined), which are ours. `custom_attributes` of a failure may say which record of the payload is to
blame, or which line where lines are split.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import cast

from colonnade.serving.batch import payloads
from colonnade.serving.batch.lanes import Lane
from colonnade.serving.batch.plan import Container, Plan
from colonnade.serving.batch.processing import Processing, ProcessingError
from colonnade.serving.frames import INVOKE, Answer, Request

LOCATE = 3
"""The kind of a request that asks which record of the payload it is that fails."""
UNPROCESSABLE, MISMATCHED = 422, 502

Handle = Callable[[Request], Answer]


class _Refused(Exception):  # noqa: N818 - an outcome
    """The model's own failure, on its way through the filters."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def answering(plan: Plan, base: Path) -> Handle:
    """Loads the model; then the lane's whole work. Raises what loading raises."""
    model = _model(plan, base)
    process = Processing(plan.content_type, plan.split, plan.input_filter, plan.output_filter, join=plan.join)

    def handle(request: Request) -> Answer:
        if request.kind == LOCATE:
            return Answer(200, str(_first_failing(request.body, plan, handle)).encode())
        try:
            return Answer(200, process(request.body, partial(_ask, model, plan)))
        except _Refused as refused:
            line = refused.answer.custom_attributes
            if line and plan.input_filter != "$":  # the model saw no blank lines
                return refused.answer._replace(
                    custom_attributes=str(payloads.line_of(request.body, int(line)))
                )
            return refused.answer
        except ProcessingError as error:
            return Answer(MISMATCHED if error.by_model else UNPROCESSABLE, str(error).encode(), OURS)

    return handle


OURS = "processing"
"""The content type of failures that are not the model's."""


def _ask(model: Handle, plan: Plan, body: bytes) -> bytes:
    answer = model(Request(INVOKE, body, plan.content_type, plan.accept))
    if answer.status > 299:
        raise _Refused(answer)
    return answer.body


def _first_failing(body: bytes, plan: Plan, handle: Handle) -> int:
    """The record, or line, of the payload that fails by itself, from 1, found by halves; 0 where only the whole fails."""
    found = payloads.records(body, plan.split)

    def fails(some: Sequence[bytes]) -> bool:
        try:
            return handle(Request(INVOKE, b"".join(some))).status > 299
        except Exception:  # noqa: BLE001 - user code, which has failed before: its trace is in the log already
            return True

    low, high = 0, len(found)
    while high - low > 1:
        middle = (low + high) // 2
        if fails(found[low:middle]):
            high = middle
        else:
            low = middle
    if not fails(found[low:high]):
        return 0
    return payloads.line_of(body, low + 1) if plan.split == "Line" else low + 1


# The model


def _model(plan: Plan, base: Path) -> Handle:
    if len(plan.containers) == 1:
        return _loaded(plan.containers[0], base)
    lanes = [(one.name, _apart(one, base)) for one in plan.containers]
    for _, lane in lanes:
        lane.load()
    return partial(_through, [(name, lane.ask) for name, lane in lanes])


def _loaded(container: Container, base: Path) -> Handle:
    os.environ.update(container.environment)
    loaded = _by_kind(container.handlers, base / container.folder)
    print(f"serving with {container.handlers} handlers", flush=True)
    return loaded


def _by_kind(handlers: str, folder: Path) -> Handle:
    if handlers == "native":
        return native(folder)
    if handlers == "http-server":
        from colonnade.serving.batch.server import started

        return started(folder, os.environ)
    from colonnade.serving.replica.__main__ import script

    # Only a STREAM is answered in parts.
    return cast(Handle, script(handlers, folder, os.environ))


def preload(plan: Plan) -> None:
    """What every lane would import, once, before they are forked."""
    if all(container.handlers == "native" for container in plan.containers):
        _import_xgboost()


def _import_xgboost() -> None:
    # Its estimators would bring scikit-learn, pandas and scipy.stats: more than a second, for nothing that is used here.
    sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]
    import_module("colonnade.serving.compiled.native")


def native(folder: Path) -> Handle:
    """xgboost itself, also for models that are compiled: on many rows at once it is the faster one, and its answers are those
    that the model was trained for. A failure names the line where one is to blame."""
    _import_xgboost()
    from colonnade.serving.compiled import InvocationError
    from colonnade.serving.compiled.native import NativePredictor

    model = NativePredictor(folder, os.environ)
    model.check()

    def handle(request: Request) -> Answer:
        try:
            body, content_type = model.invoke(
                request.body, request.content_type or "text/csv", request.accept
            )
        except InvocationError as error:
            if error.line is None:
                return Answer(error.status, str(error).encode(), "text/plain")
            line = str(error.line)
            text = re.sub(rf"\bline {line}(, |: )", "", str(error), count=1)
            return Answer(error.status, text.encode(), "text/plain", line)
        return Answer(200, body, content_type)

    return handle


def _apart(container: Container, base: Path) -> Lane:
    """A container of several, in a process of its own: scripts of one name and variables of one name stay apart."""
    return Lane(partial(_loaded, container, base), leads=False)


def _through(chain: Sequence[tuple[str, Handle]], request: Request) -> Answer:
    """As endpoints do: each is asked what the one before answered, only the last learns what is accepted."""
    answer = Answer(200, request.body, request.content_type)
    for place, (name, handle) in enumerate(chain):
        accept = request.accept if place == len(chain) - 1 else ""
        answer = handle(Request(INVOKE, answer.body, answer.content_type, accept))
        if answer.status > 299:
            return answer._replace(body=f"{name}: ".encode() + answer.body)
    return answer
