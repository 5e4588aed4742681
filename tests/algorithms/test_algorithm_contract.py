"""What every algorithm found in the folder promises, and the published data of XGBoost."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from colonnade.algorithms import Algorithm, load, names
from colonnade.algorithms.contract import UserError, channels
from colonnade.algorithms.contract.hyperparameters import Interval, Type, validate
from colonnade.algorithms.xgboost import scores

XGBOOST = load("xgboost")


@pytest.mark.parametrize("name", names())
def test_an_algorithm_publishes_consistent_data(name: str) -> None:
    algorithm = load(name)
    assert isinstance(algorithm, Algorithm)
    listed = [known for row in algorithm.hyperparameters for known in (row.name, *row.aliases)]
    assert len(listed) == len(set(listed))
    for row in algorithm.hyperparameters:
        if row.default is not None:
            row.parse(row.default)
        if row.tunable is not None:
            assert isinstance(row.range, Interval)
            assert row.tunable.low in row.range or row.range.open_low
            assert row.tunable.high in row.range
    assert len({metric.name for metric in algorithm.metrics}) == len(algorithm.metrics)
    assert any(channel.required for channel in algorithm.channels)


def test_loading_algorithms_imports_no_heavy_library() -> None:
    program = (
        "import sys; from colonnade.algorithms import load, names; [load(name) for name in names()];"
        "print([m for m in ('xgboost', 'sklearn', 'pandas', 'scipy', 'torch', 'pyarrow') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=240
    )
    assert found.stdout.strip() == "[]"


def test_an_unknown_algorithm_is_refused_by_name() -> None:
    with pytest.raises(LookupError, match="No built-in algorithm 'contract'"):
        load("contract")


def test_values_are_parsed_and_aliases_resolved() -> None:
    values = validate(
        XGBOOST.hyperparameters,
        {
            "num_round": "10",
            "learning_rate": "0.2",
            "eval_metric": "auc,error@0.7",
            "objective": '"binary:logistic"',
        },
    )
    assert values == {
        "num_round": 10,
        "eta": 0.2,
        "eval_metric": ["auc", "error@0.7"],
        "objective": "binary:logistic",
    }


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "Missing required hyperparameter: num_round"),
        ({"num_round": "5", "trees": "3"}, "Extraneous hyperparameter found: trees"),
        ({"num_round": "many"}, "Hyperparameter num_round: could not parse value 'many'"),
        ({"num_round": "0"}, "Hyperparameter num_round: 0 is not in [1, inf)"),
        ({"num_round": "5", "subsample": "0"}, "Hyperparameter subsample: 0.0 is not in (0, 1]"),
        ({"num_round": "5", "eta": "nan"}, "Hyperparameter eta: could not parse value 'nan'"),
        (
            {"num_round": "5", "booster": "tree"},
            "Hyperparameter booster: tree is not in [gbtree, gblinear, dart]",
        ),
        (
            {"num_round": "5", "eval_metric": "auc,luck"},
            "Hyperparameter eval_metric: luck is not in [accuracy, auc",
        ),
        (
            {"num_round": "5", "monotone_constraints": "up"},
            "Hyperparameter monotone_constraints: up is not in (1,0,-1)",
        ),
        ({"num_round": "5", "eta": "0.1", "learning_rate": "0.1"}, "Hyperparameter eta: given twice"),
    ],
)
def test_a_wrong_hyperparameter_is_refused_with_sagemakers_text(given: dict[str, str], text: str) -> None:
    with pytest.raises(UserError) as caught:
        validate(XGBOOST.hyperparameters, given)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"objective": "multi:softmax"}, "Require input for parameter 'num_class'"),
        ({"eval_metric": "auc"}, "Metric 'auc' can only be applied for classification and ranking"),
        ({"monotone_constraints": "(1,0)"}, "monotone_constraints can be used only when"),
        ({"tree_method": "gpu_hist"}, "gpu_hist and gpu_predictor need a GPU"),
    ],
)
def test_values_that_do_not_go_together_are_refused(given: dict[str, str], text: str) -> None:
    values = validate(XGBOOST.hyperparameters, {"num_round": "5", **given})
    with pytest.raises(UserError, match=text.replace("(", r"\(")):
        XGBOOST.check(values)


def test_the_published_defaults_and_tuning_ranges_are_sagemakers() -> None:
    table = {row.name: row for row in XGBOOST.hyperparameters}
    assert [row.name for row in XGBOOST.hyperparameters if row.required] == ["num_round"]
    assert {
        name: table[name].default for name in ("eta", "max_depth", "objective", "max_bin", "sketch_eps")
    } == {
        "eta": "0.3",
        "max_depth": "6",
        "objective": "reg:squarederror",
        "max_bin": "256",
        "sketch_eps": "0.03",
    }
    tunable = {name: str(row.tunable) for name, row in table.items() if row.tunable}
    assert tunable == {
        "alpha": "[0, 1000]",
        "colsample_bylevel": "[0.1, 1]",
        "colsample_bynode": "[0.1, 1]",
        "colsample_bytree": "[0.5, 1]",
        "eta": "[0.1, 0.5]",
        "gamma": "[0, 5]",
        "lambda": "[0, 1000]",
        "max_delta_step": "[0, 10]",
        "max_depth": "[0, 10]",
        "min_child_weight": "[0, 120]",
        "num_round": "[1, 4000]",
        "subsample": "[0.5, 1]",
    }
    assert table["num_round"].type is Type.INTEGER


def test_metric_definitions_read_our_log_and_cloudwatchs_rendering_of_it() -> None:
    auc = next(metric for metric in XGBOOST.metrics if metric.name == "validation:auc")
    assert auc.maximize
    assert auc.tunable
    for line in ("[3]\ttrain-auc:0.9\tvalidation-auc:0.8", "[3]#011train-auc:0.9#011validation-auc:0.8"):
        assert auc.find(line) == 0.8
    assert auc.find("[3]\ttrain-auc:0.9\tvalidation-aucpr:0.8") is None


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "Missing required channel: train"),
        ({"train": {}, "test": {}}, "Extraneous channel found: test"),
        (
            {"train": {"ContentType": "image/png"}},
            "Channel configuration for 'train' channel is not supported: ",
        ),
        (
            {"train": {}, "model": {"TrainingInputMode": "Pipe"}},
            "Channel configuration for 'model' channel is not",
        ),
    ],
)
def test_wrong_channels_are_refused_with_sagemakers_text(given: dict[str, dict[str, str]], text: str) -> None:
    with pytest.raises(UserError) as caught:
        channels.validate(XGBOOST.channels, given)
    assert str(caught.value).startswith(text)


def test_the_containers_own_metrics_agree_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(3)
    truth, found = (random.integers(0, 3, 200).astype(np.float64) for _ in range(2))
    both = (truth, found)
    assert scores.accuracy(*both) == pytest.approx(metrics.accuracy_score(*both))
    assert scores.balanced_accuracy(*both) == pytest.approx(metrics.balanced_accuracy_score(*both))
    for name, function in (
        ("f1", scores.f1_macro),
        ("precision", scores.precision_macro),
        ("recall", scores.recall_macro),
    ):
        assert function(*both) == pytest.approx(getattr(metrics, f"{name}_score")(*both, average="macro"))
        binary = (truth > 0, found > 0)
        of_binary = scores.OF_LABELS["f1_binary" if name == "f1" else name](
            *(part.astype(float) for part in binary)
        )
        assert of_binary == pytest.approx(getattr(metrics, f"{name}_score")(*binary))
    assert scores.r2(*both) == pytest.approx(metrics.r2_score(*both))
    assert scores.mse(*both) == pytest.approx(metrics.mean_squared_error(*both))
