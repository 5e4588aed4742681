"""User code behind the functions of the framework containers: model_fn, input_fn, predict_fn, output_fn, or transform_fn.

Used by the replica server, inside a runtime environment. What the script leaves out comes from the framework's handlers. Each
function may take one more argument at the end, the context.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from colonnade.runtimes.handlers import Handlers
from colonnade.runtimes.handlers.codecs import CSV, JSON, media_type
from colonnade.serving.frames import STREAM, Answer, Request
from colonnade.serving.replica.server import Parts

_ANY = "*/*"
_PARTS = ("input_fn", "predict_fn", "output_fn")


class Context:
    """What a function that asks for it learns about its surroundings and the request, and may say about the answer."""

    def __init__(self, model_dir: str) -> None:
        self.system_properties: dict[str, Any] = {"model_dir": model_dir, "gpu_id": None}
        self._request = Request(0)
        self._said: dict[str, str] = {}

    def begin(self, request: Request) -> None:
        self._request, self._said = request, {}

    def get_request_header(self, index: int, name: str) -> str | None:
        """`index` counts requests of a batch; there is one."""
        headers = {
            "content-type": self._request.content_type,
            "accept": self._request.accept,
            "x-amzn-sagemaker-custom-attributes": self._request.custom_attributes,
        }
        return headers.get(name.lower()) or None

    def set_response_content_type(self, index: int, value: str) -> None:
        self._said["content-type"] = value

    def set_response_header(self, index: int, name: str, value: str) -> None:
        self._said[name.lower()] = value

    def answer(self, body: str | bytes, content_type: str) -> Answer:
        octets = body.encode() if isinstance(body, str) else bytes(body)
        custom = self._said.get("x-amzn-sagemaker-custom-attributes", "")
        return Answer(200, octets, self._said.get("content-type", content_type), custom)


def load_module(program: str, code_dir: str) -> ModuleType:
    """The user's module, with its folder on the module path. Raises FileNotFoundError, or whatever its import raises."""
    path = _found(program, code_dir)
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    return importlib.import_module(path.stem)


def load_own_module(program: str, code_dir: str) -> ModuleType:
    """A module of its own for one of many models, whose scripts all have the same name. What it imports is shared: the first
    model's modules win over those of equal names."""
    path = _found(program, code_dir)
    specification = importlib.util.spec_from_file_location(f"{path.stem}_{abs(hash(str(path)))}", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look for theirs
    sys.path.insert(0, str(path.parent))
    try:
        specification.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


def _found(program: str, code_dir: str) -> Path:
    path = Path(code_dir, program)
    if not path.is_file():
        raise FileNotFoundError(
            f"the script {program} is not in {code_dir}: set SAGEMAKER_PROGRAM to one that is"
        )
    return path


class Script:
    """Functions are looked at once, when the script is loaded: how many arguments one takes is dear to ask."""

    def __init__(
        self, module: ModuleType, handlers: Handlers, model_dir: str, environ: Mapping[str, str]
    ) -> None:
        self._context = Context(model_dir)
        self._default_accept = environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or JSON
        if hasattr(module, "transform_fn"):
            _refuse_parts_beside_transform(module)
            self._transform = self._bound(module.transform_fn, 4)
        else:
            self._input = self._bound(getattr(module, "input_fn", handlers.decode), 2)
            self._predict = self._bound(getattr(module, "predict_fn", handlers.predict), 2)
            self._output = self._bound(getattr(module, "output_fn", handlers.encode), 2)
            self._writes = hasattr(module, "output_fn")
            self._transform = self._by_parts
        self._model = self._load(module, handlers, model_dir)

    def _load(self, module: ModuleType, handlers: Handlers, model_dir: str) -> Any:
        if hasattr(module, "pre_model_fn"):
            self._bound(module.pre_model_fn, 1)(model_dir)
        model = self._bound(getattr(module, "model_fn", handlers.model), 1)(model_dir)
        if hasattr(module, "model_warmup_fn"):
            self._bound(module.model_warmup_fn, 2)(model_dir, model)
        return model

    def handle(self, request: Request) -> Answer | Parts:
        """Parts where a stream is asked for and the user's functions answer by a generator; its first part is made then. Raises
        what the user's code raises, except errors that choose their own status."""
        self._context.begin(request)
        accept = request.accept if request.accept not in ("", _ANY) else self._default_accept
        content_type = request.content_type or JSON
        body = request.body.decode() if media_type(content_type) in (JSON, CSV) else request.body
        try:
            result = self._transform(self._model, body, content_type, accept)
            written, kind = result if isinstance(result, tuple) else (result, accept)
            if not isinstance(written, Iterator):
                return self._context.answer(_octets(written), kind)
            pieces = _pieces(written)
            if request.kind != STREAM:
                return self._context.answer(b"".join(pieces), kind)
            first = next(pieces, b"")
        except Exception as error:
            status = getattr(error, "status_code", None)
            if not isinstance(status, int) or not 400 <= status <= 599:
                raise
            return Answer(status, str(getattr(error, "message", error)).encode(), "text/plain")
        about = self._context.answer(b"", kind)
        return Parts(about.content_type, about.custom_attributes, _chained(first, pieces))

    def _by_parts(self, model: Any, body: str | bytes, content_type: str, accept: str) -> Any:
        prediction = self._predict(self._input(body, content_type), model)
        if isinstance(prediction, Iterator) and not self._writes:
            return (self._part(piece, accept) for piece in prediction), accept
        return self._output(prediction, accept)

    def _part(self, piece: Any, accept: str) -> str | bytes:
        """Of a prediction that comes in pieces: texts and bytes are parts as they are, others are written one by one."""
        if isinstance(piece, str | bytes | bytearray | memoryview):
            return _octets(piece)
        written = self._output(piece, accept)
        return _octets(written[0] if isinstance(written, tuple) else written)

    def _bound(self, function: Callable[..., Any], arguments: int) -> Callable[..., Any]:
        """With the context at the end where the function takes one argument more. Raises TypeError for any other number."""
        taken = len(inspect.signature(function).parameters)
        if taken == arguments:
            return function
        if taken == arguments + 1:
            return lambda *given: function(*given, self._context)
        raise TypeError(
            f"{function.__name__} takes {taken} arguments, but {arguments} are given, or {arguments + 1} with the context"
        )


def _refuse_parts_beside_transform(module: ModuleType) -> None:
    if any(hasattr(module, part) for part in _PARTS):
        raise ValueError(
            f"{module.__name__} defines transform_fn and one of {', '.join(_PARTS)}: "
            "give transform_fn alone, or the others without it"
        )


def _octets(written: Any) -> str | bytes:
    if isinstance(written, str | bytes):
        return written
    if isinstance(written, bytearray | memoryview):
        return bytes(written)
    raise TypeError(
        f"output_fn returned {type(written).__name__}: return text or bytes, or (body, content type)"
    )


def _pieces(parts: Iterator[Any]) -> Generator[bytes, None, None]:
    """As bytes, without empty ones. Closing it closes the user's generator."""
    try:
        for part in parts:
            octets = _octets(part)
            if octets:
                yield octets.encode() if isinstance(octets, str) else octets
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()


def _chained(first: bytes, rest: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
    with contextlib.closing(rest):
        if first:
            yield first
        yield from rest
