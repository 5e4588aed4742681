"""scikit-learn's and LightGBM's models are served as ONNX where they answer the same to every kind of row, else by their library."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colonnade.formats import npy
from colonnade.runtimes.handlers import files
from colonnade.serving.compiled import InvocationError, forest, thresholds
from colonnade.serving.compiled.compile import compile_model
from colonnade.serving.compiled.predictor import Predictor
from colonnade.serving.frames import INVOKE, Request
from colonnade.serving.instances import Slot
from colonnade.serving.replica.__main__ import script

joblib = pytest.importorskip("joblib")
pytest.importorskip("sklearn")

from sklearn.ensemble import (  # noqa: E402
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge  # noqa: E402
from sklearn.neighbors import KNeighborsRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.tree import DecisionTreeClassifier  # noqa: E402

FEATURES = 5
CONVERTED = [
    LinearRegression(),
    Ridge(),
    LogisticRegression(),
    DecisionTreeClassifier(max_depth=6, random_state=0),
    RandomForestClassifier(8, max_depth=6, random_state=0),
    RandomForestRegressor(8, max_depth=6, random_state=0),
    ExtraTreesRegressor(8, max_depth=6, random_state=0),
    GradientBoostingClassifier(n_estimators=5, random_state=0),
    HistGradientBoostingClassifier(max_iter=5, random_state=0),
    HistGradientBoostingRegressor(max_iter=5, random_state=0),
    HistGradientBoostingRegressor(max_iter=5, loss="poisson", random_state=0),
    make_pipeline(StandardScaler(), LogisticRegression()),
]


def names(models: list[Any]) -> list[str]:
    return [type(model).__name__ + str(number) for number, model in enumerate(models)]


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    rows = random.normal(size=(300, FEATURES))
    return rows, np.abs(rows[:, 0] * 2 + np.sin(rows[:, 1] * 3))


@pytest.fixture
def dumped(tmp_path: Path, data: tuple[np.ndarray, np.ndarray]) -> Callable[..., Path]:
    """A model folder with an estimator that was fitted, for classes where it classifies."""

    def dump(model: Any, *, missing: bool = False, classes: Any = ("high", "low", "middle")) -> Path:
        rows, target = data
        if missing:
            rows = np.where(np.random.default_rng(4).random(rows.shape) < 0.1, np.nan, rows)
        last = model.steps[-1][1] if hasattr(model, "steps") else model
        wanted = np.array(classes)[np.digitize(target, [1, 2])] if hasattr(last, "predict_proba") else target
        model.fit(rows, wanted)
        folder = tmp_path / "model"
        folder.mkdir(exist_ok=True)
        joblib.dump(model, folder / "model.joblib")
        return folder

    return dump


@pytest.mark.parametrize("model", CONVERTED, ids=names(CONVERTED))
def test_an_estimator_is_compiled_when_it_answers_the_same(
    model: Any, dumped: Callable[..., Path], tmp_path: Path, data: tuple[np.ndarray, np.ndarray]
) -> None:
    found = compile_model(dumped(model), tmp_path / "out", "scikit-learn")
    assert (found["kind"], found["reason"]) == ("onnx", "")
    assert found["check_rows"] >= 2 * 8192
    predictor = Predictor(tmp_path / "out")
    predictor.check()
    rows = data[0].astype(np.float32)
    wanted, answers = model.predict(rows), predictor.predict(rows)
    assert (answers.dtype, answers.shape) == (wanted.dtype, wanted.shape)
    if wanted.dtype.kind == "f":
        np.testing.assert_allclose(answers, wanted, rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(answers, wanted)


@pytest.mark.parametrize("model", [HistGradientBoostingRegressor(max_iter=5), RandomForestRegressor(5)])
def test_missing_values_go_where_the_library_sends_them(
    model: Any, dumped: Callable[..., Path], tmp_path: Path
) -> None:
    found = compile_model(dumped(model, missing=True), tmp_path / "out", "scikit-learn")
    assert (found["kind"], found["refuses"]["nan"]) == ("onnx", "")
    row = np.full((1, FEATURES), np.nan, dtype=np.float32)
    np.testing.assert_allclose(Predictor(tmp_path / "out").predict(row), model.predict(row), rtol=1e-6)


def test_an_estimator_that_would_answer_differently_is_served_by_its_library(
    dumped: Callable[..., Path], tmp_path: Path
) -> None:
    """Scaled in 32 bits by scikit-learn, rows next to a threshold fall to its other side."""
    model = make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=0))
    found = compile_model(dumped(model), tmp_path / "out", "scikit-learn")
    assert found["kind"] == "native"
    assert "check rows differ from scikit-learn's answer" in found["reason"]


def test_a_threshold_off_by_one_step_of_64_bits_is_caught(
    dumped: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = forest.graph

    def spoilt(found: forest.Forest) -> Any:
        found.trees[0].threshold[0] = np.nextafter(found.trees[0].threshold[0], np.inf)
        return write(found)

    monkeypatch.setattr(forest, "graph", spoilt)
    found = compile_model(dumped(HistGradientBoostingRegressor(max_iter=3)), tmp_path / "out", "scikit-learn")
    assert found["kind"] == "native"
    assert "check rows differ" in found["reason"]


CALLS = [
    (b"1,2,3,4,5", "text/csv", ""),
    (b"1,2,3,4,5\n5,4,3,2,1\n", "text/csv", "text/csv"),
    (b"1,2,3,4,5\n5,4,3,2,1\n", "text/csv; charset=utf-8", "application/json"),
    (b"[[1, 2, 3, 4, 5], [0.5, 0, 0, 0, 0]]", "application/json", "application/jsonlines"),
    (b"[1, 2, 3, 4, 5]", "", ""),
    (b"[1, 2, 3, 4, 5]\n[1, 2, 3, 4, 6]\n", "application/jsonlines", "*/*"),
    (npy.write(np.ones((3, 5))), "application/x-npy", "application/x-npy"),
    (b"1,2,,4,5", "text/csv", ""),
    (b"1,2,inf,4,5", "text/csv", ""),
    (b"1,2,3", "text/csv", ""),
    (b"a,b,c,d,e", "text/csv", ""),
    (b"1,2,3,4,5\n1,2", "text/csv", ""),
    (b"\xff", "text/csv", ""),
    (b"{", "application/json", ""),
    (b"1,2,3,4,5", "image/png", ""),
    (b"1,2,3,4,5", "text/csv", "image/png"),
]


@pytest.mark.parametrize("model", [LogisticRegression(), HistGradientBoostingRegressor(max_iter=3)])
def test_a_compiled_estimator_answers_as_the_containers_default_functions_do(
    model: Any, dumped: Callable[..., Path], tmp_path: Path
) -> None:
    """Status, content type and text; numbers to the tolerance."""
    folder = dumped(model)
    assert compile_model(folder, tmp_path / "out", "scikit-learn")["kind"] == "onnx"
    slot = Slot("compiled", Predictor(tmp_path / "out"))
    handle = script("scikit-learn", folder, {"COLONNADE_NO_SCRIPT": "1"})
    for body, content_type, accept in CALLS:
        request = Request(INVOKE, body, content_type, accept)
        found = slot._predict(request)
        try:
            wanted = handle(request)
            status, kind, text = wanted.status, wanted.content_type, wanted.body
        except Exception as error:  # noqa: BLE001 - what the replica's server makes of it
            status, kind, text = 500, "text/plain", f"{type(error).__name__}: {error}".encode()
        assert (found.status, found.content_type) == (status, kind), (body, found.body, text)
        assert same(numbers(found.body), numbers(text)), (body, found.body, text)


def same(found: Any, wanted: Any) -> bool:
    comparable = isinstance(wanted, list) and all(isinstance(value, float) for value in wanted)
    return bool(found == (pytest.approx(wanted, rel=1e-5) if comparable else wanted))


def numbers(body: bytes) -> Any:
    """What can be compared with a tolerance; anything else as it is."""
    if body.startswith(b"\x93NUMPY"):
        values = np.load(io.BytesIO(body))
        return values.tolist() if values.dtype.kind == "f" else [str(values.tolist())]
    try:
        found = [json.loads(line) for line in body.decode().splitlines()]
        return [float(value) for value in np.ravel(found)]
    except ValueError:
        return body.decode()


def test_the_default_accept_of_the_environment_counts(dumped: Callable[..., Path], tmp_path: Path) -> None:
    compile_model(dumped(LinearRegression()), tmp_path / "out", "scikit-learn")
    model = Predictor(tmp_path / "out", {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"})
    assert model.invoke(b"1,2,3,4,5", "text/csv", "*/*")[1] == "text/csv"


def test_an_archive_without_a_model_file_names_what_it_holds(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(files.ModelFileError, match=r"needs a file model\.joblib.*it holds a\.txt, b\.txt"):
        compile_model(tmp_path, tmp_path / "out", "scikit-learn")


def test_a_dumped_thing_that_cannot_predict_is_refused(tmp_path: Path) -> None:
    joblib.dump({"weights": [1, 2]}, tmp_path / "model.joblib")
    with pytest.raises(files.ModelFileError, match="holds a dict, which has no predict"):
        compile_model(tmp_path, tmp_path / "out", "scikit-learn")


def test_the_process_refuses_a_pickle_of_nothing_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"not a pickle")
    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "colonnade.serving.compiled",
            str(tmp_path),
            str(tmp_path / "out"),
            "scikit-learn",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 1
    assert "model.pkl cannot be loaded by joblib" in found.stderr


def test_neighbours_of_thresholds_are_tried_in_both_widths() -> None:
    values = thresholds.around(np.array([0.1]), missing=True, infinite=True)
    narrow = np.float32(0.1)
    for value in (
        0.1,
        np.nextafter(0.1, 1),
        np.nextafter(0.1, 0),
        narrow,
        np.nextafter(narrow, np.float32(1)),
    ):
        assert value in values
    assert np.isnan(values).sum() == 1
    assert np.isinf(values).sum() == 2


def test_a_model_of_neighbours_is_either_proved_or_native(
    dumped: Callable[..., Path], tmp_path: Path
) -> None:
    found = compile_model(dumped(KNeighborsRegressor(1)), tmp_path / "out", "scikit-learn")
    assert found["kind"] in ("onnx", "native")
    assert bool(found["reason"]) == (found["kind"] == "native")


# LightGBM


@pytest.fixture
def light(tmp_path: Path, data: tuple[np.ndarray, np.ndarray]) -> Callable[..., Any]:
    """A booster, and its model folder."""
    lightgbm = pytest.importorskip("lightgbm")

    def train(objective: str, *, missing: bool = False, **parameters: Any) -> tuple[Any, Path]:
        rows, target = data
        if missing:
            rows = np.where(np.random.default_rng(4).random(rows.shape) < 0.1, np.nan, rows)
        if objective.startswith("multi"):
            target, parameters = np.digitize(target, [1, 2]), {"num_class": 3, **parameters}
        elif objective in ("binary", "cross_entropy"):
            target = (target > 1).astype(float)
        settings = {"objective": objective, "verbose": -1, "num_threads": 1, "num_leaves": 7, **parameters}
        booster = lightgbm.train(settings, lightgbm.Dataset(rows, target), 8)
        folder = tmp_path / "model"
        folder.mkdir()
        booster.save_model(folder / "model.txt")
        return booster, folder

    return train


@pytest.mark.parametrize("missing", [False, True], ids=["whole", "missing"])
@pytest.mark.parametrize(
    "objective", ["regression", "binary", "multiclass", "multiclassova", "poisson", "tweedie", "quantile", "cross_entropy"]
)  # fmt: skip
def test_a_booster_is_compiled_when_it_answers_the_same(
    objective: str, missing: bool, light: Callable[..., Any], tmp_path: Path
) -> None:
    booster, folder = light(objective, missing=missing)
    found = compile_model(folder, tmp_path / "out", "lightgbm")
    assert (found["kind"], found["reason"]) == ("onnx", "")
    row = np.array([[0.5, np.nan, 0.0, 1e-36, -2.0]], dtype=np.float32)
    np.testing.assert_allclose(Predictor(tmp_path / "out").predict(row), booster.predict(row), rtol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"zero_as_missing": True}, "takes zeros for missing"),
        ({"linear_tree": True}, "linear trees"),
        ({"reg_sqrt": True}, "objective regression sqrt"),
    ],
)
def test_a_booster_that_onnx_cannot_follow_is_served_by_its_library(
    parameters: dict[str, Any], reason: str, light: Callable[..., Any], tmp_path: Path
) -> None:
    found = compile_model(light("regression", **parameters)[1], tmp_path / "out", "lightgbm")
    assert found["kind"] == "native"
    assert reason in found["reason"]


def test_a_text_that_is_no_booster_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    (tmp_path / "model.txt").write_text("tree\nbut no more")
    with pytest.raises(files.ModelFileError, match=r"model\.txt is no LightGBM model"):
        compile_model(tmp_path, tmp_path / "out", "lightgbm")


def test_a_compiled_booster_refuses_a_row_of_another_width(light: Callable[..., Any], tmp_path: Path) -> None:
    compile_model(light("regression")[1], tmp_path / "out", "lightgbm")
    with pytest.raises(InvocationError, match=r"number of features in data \(3\) is not the same") as caught:
        Predictor(tmp_path / "out").invoke(b"1,2,3", "text/csv")
    assert caught.value.status == 500
