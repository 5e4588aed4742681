"""User scripts behind the functions of the framework containers, as the table of semantics 2.4 has them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from colonnade.formats import record, recordio
from colonnade.runtimes import handlers
from colonnade.runtimes.handlers import UnsupportedFormatError
from colonnade.serving.frames import INVOKE, Answer, Request
from colonnade.serving.replica.script import Script, load_module

SUM = "def model_fn(model_dir): return model_dir\ndef predict_fn(data, model): return data.sum(axis=-1)\n"


def script(code: str, kind: str = "generic", **environ: str) -> Script:
    module = ModuleType("inference")
    exec(code, module.__dict__)
    return Script(module, handlers.load(kind), "/opt/ml/model", environ)


def ask(
    made: Script,
    body: bytes,
    content_type: str = "text/csv",
    accept: str = "application/json",
    custom: str = "",
) -> Answer:
    return made.handle(Request(INVOKE, body, content_type, accept, custom))


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", b"1,2\n3,4\n"),
        ("text/csv; charset=utf-8", b"1,2\n3,4"),
        ("application/json", b"[[1, 2], [3, 4]]"),
        ("application/jsonlines", b"[1, 2]\n[3, 4]\n"),
        ("application/x-npy", npy(np.array([[1.0, 2.0], [3.0, 4.0]]))),
    ],
)
def test_bodies_of_every_default_type_are_read(content_type: str, body: bytes) -> None:
    assert json.loads(ask(script(SUM), body, content_type).body) == [3.0, 7.0]


def test_a_sparse_matrix_is_read_from_npz() -> None:
    from scipy import sparse

    stream = io.BytesIO()
    sparse.save_npz(stream, sparse.csr_matrix(np.array([[1.0, 0.0], [0.0, 4.0]])))
    made = script("def model_fn(d): return 1\ndef predict_fn(data, model): return data.nnz")

    assert ask(made, stream.getvalue(), "application/x-npz").body == b"2"


@pytest.mark.parametrize(
    ("accept", "body", "content_type"),
    [
        ("application/json", b"[3.0, 7.0]", "application/json"),
        ("text/csv", b"3.0\n7.0\n", "text/csv"),
        ("application/jsonlines", b"3.0\n7.0", "application/jsonlines"),
        ("application/x-npy", npy(np.array([3.0, 7.0])), "application/x-npy"),
        ("*/*", b"[3.0, 7.0]", "application/json"),
        ("", b"[3.0, 7.0]", "application/json"),
        ("image/png, text/csv;q=0.5", b"3.0\n7.0\n", "text/csv"),
    ],
)
def test_predictions_are_written_in_the_first_type_that_is_accepted(
    accept: str, body: bytes, content_type: str
) -> None:
    answer = ask(script(SUM), b"1,2\n3,4\n", accept=accept)

    assert (answer.status, answer.body, answer.content_type) == (200, body, content_type)


def test_the_default_accept_can_be_set() -> None:
    made = script(SUM, SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="text/csv")

    assert ask(made, b"1,2", accept="*/*").content_type == "text/csv"


@pytest.mark.parametrize(("content_type", "accept"), [("image/png", "text/csv"), ("text/csv", "image/png")])
def test_an_unknown_type_is_the_frameworks_own_error(content_type: str, accept: str) -> None:
    with pytest.raises(
        UnsupportedFormatError, match="Content type image/png is not supported by this framework"
    ):
        ask(script(SUM), b"1,2\n3,4", content_type, accept)


def test_scikit_learn_makes_a_row_a_matrix_of_float32() -> None:
    code = "def model_fn(d):\n  class M:\n    def predict(self, x): return [str(x.dtype), *x.shape]\n  return M()"

    assert json.loads(ask(script(code, "scikit-learn"), b"1,2,3").body) == ["float32", 1, 3]
    assert json.loads(ask(script(code, "scikit-learn"), b"1\n2\n3").body) == ["float32", 3, 1]


def test_scikit_learn_needs_a_model_fn() -> None:
    with pytest.raises(NotImplementedError, match="Please provide a model_fn"):
        script("", "scikit-learn")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("text/csv", b"0.1,0.9"), ("text/libsvm", b"0:0.1 1:0.9"), ("application/json", b"[[0.1, 0.9]]")],
)
def test_xgboost_loads_its_model_and_reads_its_formats_by_default(
    tmp_path: Path, content_type: str, body: bytes
) -> None:
    import xgboost

    features = np.random.default_rng(3).random((100, 2), dtype=np.float32)
    booster = xgboost.train({"max_depth": 2, "nthread": 1}, xgboost.DMatrix(features, features[:, 0]), 3)
    (tmp_path / "xgboost-model").write_bytes(booster.save_raw("json"))
    made = Script(ModuleType("inference"), handlers.load("xgboost"), str(tmp_path), {})

    (found,) = json.loads(ask(made, body, content_type).body)

    row = xgboost.DMatrix(np.array([[0.1, 0.9]], dtype=np.float32))
    assert found == pytest.approx(float(booster.predict(row)[0]), abs=1e-6)
    framed = ask(made, body, content_type, "application/x-recordio-protobuf, text/csv")
    assert framed.content_type == "application/x-recordio-protobuf"
    (payload,) = recordio.frames(framed.body)
    assert payload == record.encode({}, {"score": np.array([found], dtype=np.float32)})


def test_every_function_may_take_the_context_and_transform_fn_stands_alone() -> None:
    code = """
def model_fn(model_dir, context): return context.system_properties["model_dir"]
def transform_fn(model, body, content_type, accept, context):
    context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", "trace=1")
    given = context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")
    return f"{model} {type(body).__name__} {given}", "text/plain"
"""

    answer = ask(script(code), b"x", custom="who=me")

    assert answer == Answer(200, b"/opt/ml/model str who=me", "text/plain", "trace=1")


def test_transform_fn_beside_another_function_is_refused() -> None:
    with pytest.raises(ValueError, match="defines transform_fn and one of input_fn, predict_fn, output_fn"):
        script(
            "def model_fn(d): return 1\ndef transform_fn(m, b, c, a): return b\ndef input_fn(b, c): return b"
        )


def test_a_function_with_other_arguments_is_refused_by_name_before_it_serves() -> None:
    with pytest.raises(
        TypeError, match="predict_fn takes 1 arguments, but 2 are given, or 3 with the context"
    ):
        script("def model_fn(d): return 1\ndef predict_fn(data): return data")


def test_what_comes_before_and_after_loading_is_called_in_order() -> None:
    code = """
seen = []
def pre_model_fn(model_dir): seen.append("before")
def model_fn(model_dir): seen.append("load"); return 1
def model_warmup_fn(model_dir, model): seen.append("after")
def predict_fn(data, model): return seen
"""

    assert json.loads(ask(script(code), b"1").body) == ["before", "load", "after"]


def test_an_error_that_chooses_its_status_gets_it() -> None:
    code = """
class Wrong(Exception):
    def __init__(self): self.status_code, self.message = 422, "no such customer"
def model_fn(d): return 1
def predict_fn(data, model): raise Wrong()
"""

    assert ask(script(code), b"1") == Answer(422, b"no such customer", "text/plain")


def test_text_types_reach_input_fn_as_text_and_others_as_bytes() -> None:
    code = "def model_fn(d): return 1\ndef input_fn(b, c): return type(b).__name__\ndef predict_fn(d, m): return d"

    assert ask(script(code), b"1", "application/json").body == b'"str"'
    assert ask(script(code), b"1", "application/x-npy").body == b'"bytes"'


@pytest.mark.parametrize(("written", "says"), [("3", "int"), ("[1]", "list")])
def test_an_answer_that_is_neither_text_nor_bytes_is_refused(written: str, says: str) -> None:
    code = f"def model_fn(d): return 1\ndef predict_fn(d, m): return d\ndef output_fn(p, a): return {written}"

    with pytest.raises(TypeError, match=f"output_fn returned {says}"):
        ask(script(code), b"1")


def test_the_scripts_folder_is_on_the_module_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "helper_of_script.py").write_text("WORD = 'helped'")
    (tmp_path / "my_script.py").write_text("from helper_of_script import WORD")

    assert load_module("my_script.py", str(tmp_path)).WORD == "helped"
    with pytest.raises(FileNotFoundError, match="set SAGEMAKER_PROGRAM"):
        load_module("other.py", str(tmp_path))
