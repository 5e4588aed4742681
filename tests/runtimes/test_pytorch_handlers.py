"""What the PyTorch container does without a script's functions.

With the real torch where it is installed; it is too heavy for every test environment, so elsewhere with a stand-in of the few
calls that the handlers make, over numpy.
"""

from __future__ import annotations

import contextlib
import json
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from colonnade.runtimes import handlers
from colonnade.runtimes.handlers import UnsupportedFormatError, pytorch
from colonnade.serving.frames import INVOKE, Answer, Request
from colonnade.serving.replica.script import Script


class Tensor:
    """What from_numpy makes and models answer."""

    def __init__(self, values: Any) -> None:
        self.values = values
        self.dtype, self.shape = values.dtype, values.shape

    def to(self, device: str) -> Tensor:
        assert device == "cpu"
        return self

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> Any:
        return self.values

    def sum(self, dim: int) -> Tensor:
        return Tensor(self.values.sum(axis=dim))


class Doubling:
    """A TorchScript model, as torch.jit.load gives it."""

    training = True

    def to(self, device: str) -> Doubling:
        assert device == "cpu"
        return self

    def eval(self) -> Doubling:
        self.training = False
        return self

    def __call__(self, data: Tensor) -> Tensor:
        assert not self.training
        return Tensor(data.values * 2)


def _load(path: str, map_location: str) -> Doubling:
    if Path(path).read_bytes() != b"TorchScript":
        raise RuntimeError("PytorchStreamReader failed")
    return Doubling()


def stand_in() -> ModuleType:
    module: Any = ModuleType("torch")
    module.from_numpy = Tensor
    module.no_grad = contextlib.nullcontext
    module.device = str
    module.cuda = SimpleNamespace(is_available=lambda: False)
    module.jit = SimpleNamespace(load=_load)
    return module


@pytest.fixture
def model_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if find_spec("torch") is None:
        monkeypatch.setitem(sys.modules, "torch", stand_in())
        (tmp_path / "model.pt").write_bytes(b"TorchScript")
    else:
        torch: Any = import_module("torch")
        torch.jit.save(torch.jit.trace(_Double(), torch.zeros(1, 2)), str(tmp_path / "model.pt"))
    return str(tmp_path)


def _Double() -> Any:  # noqa: N802 - a class, where torch is there
    torch: Any = import_module("torch")

    class Double(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return x * 2

    return Double()


def ask(model_dir: str, body: bytes, content_type: str, accept: str, code: str = "") -> Answer:
    module = ModuleType("inference")
    exec(code, module.__dict__)
    made = Script(module, handlers.load("pytorch"), model_dir, {})
    answer = made.handle(Request(INVOKE, body, content_type, accept))
    assert isinstance(answer, Answer)
    return answer


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("application/json", b"[[1, 2]]"), ("text/csv", b"1,2\n3,4"), ("text/csv", b"1,2")],
)
def test_a_torchscript_model_is_loaded_and_answers(model_dir: str, content_type: str, body: bytes) -> None:
    answer = ask(model_dir, body, content_type, "application/json")

    assert np.asarray(json.loads(answer.body)).ravel()[:2].tolist() == [2.0, 4.0]
    assert answer.content_type == "application/json"


def test_npy_keeps_its_type_and_lists_of_accept_are_followed(model_dir: str) -> None:
    import io

    stream = io.BytesIO()
    np.save(stream, np.array([[1.5, 2.5]]))

    answer = ask(model_dir, stream.getvalue(), "application/x-npy", "image/png, text/csv;q=0.5")

    assert (answer.body, answer.content_type) == (b"3.0,5.0\n", "text/csv")


def test_a_script_may_leave_everything_but_its_model_to_the_handlers(model_dir: str) -> None:
    code = "def model_fn(model_dir): return lambda data: data.sum(1)"

    assert json.loads(ask(model_dir, b"[[1, 2], [3, 4]]", "application/json", "*/*", code).body) == [3.0, 7.0]


@pytest.mark.parametrize("content_type", ["application/x-npz", "image/png"])
def test_types_that_the_container_does_not_read_are_its_own_error(model_dir: str, content_type: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=f"Content type {content_type} is not supported"):
        ask(model_dir, b"x", content_type, "application/json")


def test_a_model_that_is_not_there_or_no_torchscript_is_named_with_a_remedy(model_dir: str) -> None:
    Path(model_dir, "model.pt").write_bytes(b"a pickled state_dict")
    with pytest.raises(ValueError, match=r"save it with torch.jit.save, or provide a model_fn"):
        pytorch.model(model_dir)
    Path(model_dir, "model.pt").unlink()
    with pytest.raises(FileNotFoundError, match="missing file"):
        pytorch.model(model_dir)


def test_without_torch_the_error_says_where_to_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)

    with pytest.raises(ModuleNotFoundError, match=r"code/requirements\.txt"):
        pytorch.model(str(tmp_path))
