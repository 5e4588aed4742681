"""How a request body becomes scores and an answer, the same for compiled and native models."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colonnade.formats import libsvm, recordio
from colonnade.serving.compiled.compile import compile_model
from colonnade.serving.compiled.contract import Contract, InvocationError
from colonnade.serving.compiled.native import NativePredictor
from colonnade.serving.compiled.predictor import Predictor

ROW = b"0.5,1,2,3,4,5"


@pytest.fixture(params=["compiled", "native"])
def load(
    request: pytest.FixtureRequest, boosted: Callable[..., Any], saved: Callable[..., Path], tmp_path: Path
) -> Callable[..., Any]:
    """A predictor of either kind for a model of the objective, in a container environment."""

    def predictor(objective: str = "binary:logistic", **environment: str) -> Any:
        folder = saved(boosted(objective))
        if request.param == "native":
            return NativePredictor(folder, environment)
        compile_model(folder, tmp_path / "out")
        return Predictor(tmp_path / "out", environment)

    return predictor


def test_csv_in_and_csv_out_is_the_default(load: Callable[..., Any]) -> None:
    model = load()
    body, content_type = model.invoke(ROW, "text/csv", "")
    score = model.predict(np.array([[0.5, 1, 2, 3, 4, 5]], dtype=np.float32))
    assert content_type == "text/csv"
    assert float(body) == pytest.approx(float(score[0]))
    assert model.invoke(ROW + b"\n" + ROW, "text/csv; charset=utf-8", "*/*")[0] == body + b"," + body


def test_every_content_type_gives_the_same_score(load: Callable[..., Any]) -> None:
    model = load()
    matrix = np.array([[0.5, np.nan, 2, 3, 4, np.nan]], dtype=np.float32)
    wanted = model.invoke(b"0.5,,2,3,4,")[0]
    assert model.invoke(libsvm.write(matrix), "text/libsvm")[0] == wanted
    assert model.invoke(libsvm.write(matrix), "text/x-libsvm")[0] == wanted
    assert model.invoke(recordio.write(matrix), "application/x-recordio-protobuf")[0] == wanted


def test_json_answers_wrap_each_score(load: Callable[..., Any]) -> None:
    model = load()
    score = float(model.invoke(ROW)[0])
    body, content_type = model.invoke(ROW + b"\n" + ROW, "text/csv", "application/json")
    assert content_type == "application/json"
    assert json.loads(body) == {"predictions": [{"score": score}, {"score": score}]}
    body, _ = model.invoke(ROW + b"\n" + ROW, "text/csv", "application/jsonlines")
    assert [json.loads(line) for line in body.splitlines()] == [{"score": score}, {"score": score}]


def test_recordio_answers_carry_scores_as_labels(load: Callable[..., Any]) -> None:
    model = load()
    body, _ = model.invoke(ROW, "text/csv", "application/x-recordio-protobuf")
    (payload,) = recordio.frames(body)
    assert b"score" in payload
    assert np.frombuffer(payload[-4:], "<f4")[0] == np.float32(model.invoke(ROW)[0])


def test_class_probabilities_are_vectors(load: Callable[..., Any]) -> None:
    model = load("multi:softprob")
    (prediction,) = json.loads(model.invoke(ROW, "text/csv", "application/json")[0])["predictions"]
    assert len(prediction["score"]) == 4
    assert sum(prediction["score"]) == pytest.approx(1, abs=1e-5)
    assert json.loads(model.invoke(ROW)[0]) == prediction["score"]


def test_class_labels_are_numbers(load: Callable[..., Any]) -> None:
    assert load("multi:softmax").invoke(ROW)[0] in (b"0.0", b"1.0", b"2.0", b"3.0")


def test_batch_answers_one_line_a_row(load: Callable[..., Any]) -> None:
    score = load().invoke(ROW)[0]
    assert load(SAGEMAKER_BATCH="true").invoke(ROW + b"\n" + ROW)[0] == (score + b"\n") * 2


def test_the_environment_sets_the_default_accept(load: Callable[..., Any]) -> None:
    model = load(SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="application/json")
    assert model.invoke(ROW)[1] == model.invoke(ROW, "text/csv", "*/*")[1] == "application/json"
    assert model.invoke(ROW, "text/csv", "text/csv")[1] == "text/csv"


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "text"),
    [
        (b"", "text/csv", "", 204, ""),
        (b"a,b,c", "text/csv", "", 415, "Loading text/csv data failed, please ensure data is in text/csv format: line 1"),
        (ROW, "application/json", "", 415, "Content-type application/json not supported"),
        (ROW, "text/libsvm", "", 415, "Loading text/libsvm data failed"),
        (b"1,2,3", "text/csv", "", 400, "Unable to evaluate payload provided: Feature size of text/csv inference data 3 is not consistent with feature size of trained model 6."),
        (b"inf,1,2,3,4,5", "text/csv", "", 400, "Unable to evaluate payload provided: Input data contains `inf`"),
        (b"1e300,1,2,3,4,5", "text/csv", "", 400, "Unable to evaluate payload provided: Input data contains `inf`"),
        (b"1 999999999:1", "text/libsvm", "", 400, "Unable to evaluate payload provided: Feature size of text/libsvm"),
        (ROW, "text/csv", "image/png", 406, "Accept type image/png is not supported"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_has_the_containers_status(
    load: Callable[..., Any], body: bytes, content_type: str, accept: str, status: int, text: str
) -> None:
    model = load()
    with pytest.raises(InvocationError) as caught:
        model.invoke(body, content_type, accept)
    assert caught.value.status == status
    assert str(caught.value).startswith(text)


def test_an_accept_header_of_several_offers_takes_the_first_supported(load: Callable[..., Any]) -> None:
    assert (
        load().invoke(ROW, "text/csv", "image/png, application/json;q=0.9, text/csv")[1] == "application/json"
    )


def test_selected_keys_are_answered_in_their_order(load: Callable[..., Any]) -> None:
    score = float(load().invoke(ROW)[0])
    model = load(SAGEMAKER_INFERENCE_OUTPUT="predicted_label, probabilities,labels,probability")
    assert model.invoke(ROW)[0].decode() == f'{int(score > 0.5)},"[{1 - score}, {score}]","[0, 1]",{score}'
    (prediction,) = json.loads(model.invoke(ROW, "text/csv", "application/json")[0])["predictions"]
    assert list(prediction) == ["predicted_label", "probabilities", "labels", "probability"]


def test_a_key_the_objective_lacks_is_not_a_number(load: Callable[..., Any]) -> None:
    model = load(SAGEMAKER_INFERENCE_OUTPUT="predicted_score,probability")
    cells = load().invoke(ROW)[0].decode()
    assert model.invoke(ROW)[0].decode() == f"nan,{cells}"
    (prediction,) = json.loads(model.invoke(ROW, "text/csv", "application/json")[0])["predictions"]
    assert math.isnan(prediction["predicted_score"])


def test_selection_of_a_class_vector_names_the_winner(load: Callable[..., Any]) -> None:
    vector = json.loads(load("multi:softprob").invoke(ROW)[0])
    model = load("multi:softprob", SAGEMAKER_INFERENCE_OUTPUT="predicted_label,probability,labels,raw_scores")
    (found,) = json.loads(model.invoke(ROW, "text/csv", "application/json")[0])["predictions"]
    assert found == {
        "predicted_label": int(np.argmax(vector)),
        "probability": max(vector),
        "labels": [0, 1, 2, 3],
        "raw_scores": vector,
    }


def test_a_regression_has_a_predicted_score() -> None:
    contract = Contract(
        features=1,
        objective="reg:squarederror",
        environment={"SAGEMAKER_INFERENCE_OUTPUT": "predicted_score"},
    )
    assert contract.write(np.array([2.5], dtype=np.float32))[0] == b"2.5"
