"""Conversion to ONNX is proved on the model's own thresholds, or the model is served natively with the reason."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from colonnade.algorithms.xgboost.models import NotAModelError
from colonnade.formats import csv
from colonnade.serving.compiled import boosters, thresholds
from colonnade.serving.compiled.compile import compile_model
from colonnade.serving.compiled.native import NativePredictor
from colonnade.serving.compiled.predictor import NotCompiledError, Predictor

AGREE = (
    *("binary:logistic", "multi:softmax", "multi:softprob", "reg:squarederror", "count:poisson", "reg:gamma"),
    *("reg:tweedie", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror"),
)
DIFFER = ("rank:pairwise", "survival:aft", "survival:cox", "binary:hinge", "binary:logitraw", "reg:logistic")


@pytest.mark.parametrize("objective", AGREE)
def test_a_proved_model_answers_as_xgboost(
    objective: str, boosted: Callable[..., Any], saved: Callable[..., Path], tmp_path: Path, rows: np.ndarray
) -> None:
    booster = boosted(objective)
    description = compile_model(saved(booster), tmp_path / "out")
    assert description["kind"] == "onnx", description["reason"]
    assert description["max_abs_difference"] <= 1e-5
    predictor = Predictor(tmp_path / "out")
    predictor.check()
    wanted = booster.predict(xgboost.DMatrix(rows))
    found = predictor.predict(rows)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("objective", DIFFER)
def test_an_objective_that_converts_and_answers_differently_is_served_natively(
    objective: str, boosted: Callable[..., Any], saved: Callable[..., Path], tmp_path: Path, rows: np.ndarray
) -> None:
    booster = boosted(objective)
    folder = saved(booster)
    description = compile_model(folder, tmp_path / "out")
    assert description["kind"] == "native"
    assert "served natively: as ONNX, " in description["reason"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["compiled.json"]
    with pytest.raises(NotCompiledError, match="served natively"):
        Predictor(tmp_path / "out")
    native = NativePredictor(folder)
    native.check()
    np.testing.assert_array_equal(native.predict(rows), booster.predict(xgboost.DMatrix(rows)))


@pytest.mark.parametrize("parameters", [{"booster": "gblinear"}, {"booster": "dart", "rate_drop": 0.5}])
def test_a_booster_without_conversion_is_served_natively(
    parameters: dict[str, Any], boosted: Callable[..., Any], saved: Callable[..., Path], tmp_path: Path
) -> None:
    description = compile_model(saved(boosted("binary:logistic", **parameters)), tmp_path / "out")
    assert description["kind"] == "native"
    assert "no conversion to ONNX" in description["reason"]


def test_an_ensemble_is_served_natively_by_its_mean(
    boosted: Callable[..., Any], saved: Callable[..., Path], tmp_path: Path, rows: np.ndarray
) -> None:
    models = [boosted("binary:logistic", seed=seed, subsample=0.5) for seed in (1, 2, 3)]
    folder = saved(*models)
    assert "an ensemble of 3 models" in compile_model(folder, tmp_path / "out")["reason"]
    wanted = np.mean([model.predict(xgboost.DMatrix(rows)) for model in models], axis=0)
    np.testing.assert_allclose(NativePredictor(folder).predict(rows), wanted, rtol=1e-6)


def test_an_ensemble_of_labels_answers_the_most_frequent(
    boosted: Callable[..., Any], saved: Callable[..., Path], rows: np.ndarray
) -> None:
    models = [boosted("multi:softmax", seed=seed, subsample=0.3) for seed in (1, 2, 3)]
    votes = np.stack([model.predict(xgboost.DMatrix(rows)) for model in models], axis=1)
    found = NativePredictor(saved(*models)).predict(rows)
    majority = [row[0] if row[0] in row[1:] else row[1] if row[1] == row[2] else row.min() for row in votes]
    np.testing.assert_array_equal(found, majority)


def test_only_the_best_rounds_are_served(
    boosted: Callable[..., Any], saved: Callable[..., Path], tmp_path: Path, rows: np.ndarray
) -> None:
    booster = boosted("binary:logistic")
    booster.set_attr(best_iteration="4")
    folder = saved(booster)
    compile_model(folder, tmp_path / "out")
    wanted = booster.predict(xgboost.DMatrix(rows), iteration_range=(0, 5))
    np.testing.assert_allclose(Predictor(tmp_path / "out").predict(rows), wanted, atol=1e-6)
    np.testing.assert_array_equal(NativePredictor(folder).predict(rows), wanted)


@pytest.mark.parametrize("format", ["json", "ubj"])
def test_both_of_xgboosts_formats_are_read(
    format: str, boosted: Callable[..., Any], saved: Callable[..., Path], tmp_path: Path
) -> None:
    booster = boosted("reg:squarederror")
    (saved(booster) / "xgboost-model").write_bytes(booster.save_raw(format))
    assert compile_model(tmp_path / "model", tmp_path / "out")["kind"] == "onnx"


def test_a_model_alone_in_its_archive_may_be_called_anything(
    boosted: Callable[..., Any], saved: Callable[..., Path], tmp_path: Path
) -> None:
    (saved(boosted("reg:squarederror")) / "xgboost-model").rename(tmp_path / "model" / "churn.ubj")
    assert compile_model(tmp_path / "model", tmp_path / "out")["kind"] == "onnx"


def test_compiling_again_replaces_the_verdict_and_leaves_nothing_else(
    boosted: Callable[..., Any], saved: Callable[..., Path], tmp_path: Path
) -> None:
    compile_model(saved(boosted("reg:squarederror")), tmp_path / "out")
    compile_model(saved(boosted("binary:hinge")), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "compiled.json").read_text())["objective"] == "binary:hinge"
    with pytest.raises(NotCompiledError):
        Predictor(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["compiled.json"]


def test_many_threads_get_their_own_answers(
    boosted: Callable[..., Any], saved: Callable[..., Path], tmp_path: Path, rows: np.ndarray
) -> None:
    compile_model(saved(boosted("binary:logistic")), tmp_path / "out")
    predictor = Predictor(tmp_path / "out")
    bodies = [csv.write(row[None, :]) for row in rows]
    wanted = [predictor.invoke(body) for body in bodies]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(predictor.invoke, bodies)) == wanted
    assert len(set(wanted)) > 10


def test_a_pickle_is_refused_unopened(
    boosted: Callable[..., Any], saved: Callable[..., Path], tmp_path: Path
) -> None:
    booster = boosted("reg:squarederror")
    (saved(booster) / "xgboost-model").write_bytes(pickle.dumps(booster))
    with pytest.raises(
        NotAModelError, match="is a Python pickle, which is refused because loading it runs code"
    ):
        compile_model(tmp_path / "model", tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"{L\xff\xff", b"not a model", b"\x00" * 64])
def test_what_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "xgboost-model").write_bytes(content)
    with pytest.raises(NotAModelError, match="xgboost-model is not an XGBoost model"):
        compile_model(tmp_path, tmp_path / "out")


def test_the_process_refuses_with_its_reason(tmp_path: Path) -> None:
    for name in ("model.pth", "vocabulary.txt"):
        (tmp_path / name).write_bytes(b"")
    found = subprocess.run(
        [sys.executable, "-m", "colonnade.serving.compiled", str(tmp_path), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert found.returncode == 1
    assert "needs a file xgboost-model; it holds model.pth, vocabulary.txt" in found.stderr


def test_the_check_batch_holds_each_threshold_and_its_neighbours(boosted: Callable[..., Any]) -> None:
    booster = boosted("binary:logistic")
    values = boosters.candidates(booster)
    batch = np.concatenate(list(thresholds.batches(values)))
    splits = booster.trees_to_dataframe().dropna(subset=["Split"])
    assert len(splits) > 20
    for feature, split in zip(splits["Feature"], splits["Split"], strict=True):
        column = batch[:, int(feature[1:])]
        at = np.float32(split)
        for value in (np.nextafter(at, np.float32(-np.inf)), at, np.nextafter(at, np.float32(np.inf))):
            assert value in column
    assert np.isnan(batch).any(axis=0).all()
    np.testing.assert_array_equal(
        batch, np.concatenate(list(thresholds.batches(values))), "a verdict can be repeated"
    )


@pytest.mark.parametrize(
    ("attribute", "value"), [("nodes_modes", b"BRANCH_LEQ"), ("nodes_missing_value_tracks_true", 1)]
)
def test_a_wrong_comparison_or_missing_direction_is_caught(
    attribute: str,
    value: Any,
    boosted: Callable[..., Any],
    saved: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    convert = boosters._converted

    def spoilt(booster: Any, features: int) -> Any:
        graph = convert(booster, features)
        held = next(a for node in graph.graph.node for a in node.attribute if a.name == attribute)
        held.strings[:] = [value if mode == b"BRANCH_LT" else mode for mode in held.strings]
        held.ints[:] = [value for _ in held.ints]
        return graph

    monkeypatch.setattr(boosters, "_converted", spoilt)
    description = compile_model(saved(boosted("binary:logistic")), tmp_path / "out")
    assert description["kind"] == "native"
    assert "check rows differ from XGBoost's answer by up to" in description["reason"]


def test_one_threshold_off_by_one_step_is_caught(
    boosted: Callable[..., Any], saved: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert = boosters._converted

    def spoilt(booster: Any, features: int) -> Any:
        graph = convert(booster, features)
        held = next(a for node in graph.graph.node for a in node.attribute if a.name == "nodes_values")
        held.floats[0] = float(np.nextafter(np.float32(held.floats[0]), np.float32(np.inf)))
        return graph

    monkeypatch.setattr(boosters, "_converted", spoilt)
    assert compile_model(saved(boosted("binary:logistic")), tmp_path / "out")["kind"] == "native"


def test_a_model_that_is_not_the_proved_one_fails_its_check(
    boosted: Callable[..., Any], saved: Callable[..., Path], tmp_path: Path
) -> None:
    compile_model(saved(boosted("binary:logistic")), tmp_path / "out")
    description = json.loads((tmp_path / "out" / "compiled.json").read_text())
    description["probe"]["score"] += 0.01
    (tmp_path / "out" / "compiled.json").write_text(json.dumps(description))
    with pytest.raises(RuntimeError, match="Compile it again"):
        Predictor(tmp_path / "out").check()


def test_serving_compiled_models_imports_no_heavy_library() -> None:
    program = (
        "import sys, colonnade.serving.compiled.predictor;"
        "print([m for m in ('xgboost', 'sklearn', 'pandas', 'scipy', 'onnx', 'onnxmltools') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=240
    )
    assert found.stdout.strip() == "[]"
