"""The built-in XGBoost as the platform runs it: a process on a folder, judged by its files, log and exit code."""

from __future__ import annotations

import gzip
import io
import os
import re
import signal
import tarfile
import threading
from typing import Any

import numpy as np
import pytest
import xgboost

from colonnade.algorithms import load
from colonnade.algorithms.xgboost import OBJECTIVES
from colonnade.formats import csv, libsvm, recordio


def roc_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Share of pairs of a positive and a negative that are in order; ties count half."""
    positive, negative = scores[labels == 1], scores[labels == 0]
    return float(np.mean(np.sign(positive[:, None] - negative[None, :]) / 2 + 0.5))


def logged(log: str) -> list[str]:
    return [line for line in log.splitlines() if re.match(r"\[\d+\]", line)]


def test_training_on_census_data_reaches_the_auc_it_logs(
    folder: Any, training_csv: bytes, census: np.ndarray
) -> None:
    folder.hyperparameters |= {"num_round": "20", "eval_metric": "auc,logloss,accuracy", "max_depth": "4"}
    folder.channel("train", gzip.compress(training_csv))
    folder.channel("validation", csv.write(census[3000:]))

    code, log = folder.train()

    assert code == 0, log
    last = logged(log)[-1]
    assert re.fullmatch(
        r"\[19\]\ttrain-auc:0\.\d{5}\ttrain-logloss:0\.\d{5}\ttrain-accuracy:0\.\d{5}"
        r"\tvalidation-auc:0\.\d{5}\tvalidation-logloss:0\.\d{5}\tvalidation-accuracy:0\.\d{5}",
        last,
    )
    labels, features = census[3000:, 0], census[3000:, 1:]
    scores = xgboost.Booster(model_file=folder.model).predict(xgboost.DMatrix(features))
    found = {
        metric.name: value for metric in load("xgboost").metrics if (value := metric.find(last)) is not None
    }
    assert found["validation:auc"] == pytest.approx(roc_auc(labels, scores), abs=1e-5)
    assert found["validation:auc"] > 0.85
    assert found["validation:accuracy"] == pytest.approx(np.mean((scores > 0.5) == labels), abs=1e-5)
    assert f"Training with xgboost {xgboost.__version__}" in log


def test_every_content_type_trains_the_same_model(folder: Any, census: np.ndarray) -> None:
    labels, features = census[:500, :1], census[:500, 1:]
    bodies = {
        "text/csv;label_size=1": csv.write(census[:500]),
        "text/libsvm": libsvm.write(features, labels),
        "application/x-recordio-protobuf": recordio.write(features, labels),
        "application/x-parquet": _parquet(census[:500]),
    }
    predictions = []
    for content_type, body in bodies.items():
        folder.channel("train", body, content_type)
        code, log = folder.train()
        assert code == 0, log
        predictions.append(xgboost.Booster(model_file=folder.model).predict(xgboost.DMatrix(features)))
    for other in predictions[1:]:
        np.testing.assert_allclose(other, predictions[0], atol=1e-6)


def _parquet(table: np.ndarray) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    stream = io.BytesIO()
    parquet.write_table(pyarrow.table({f"column{i}": column for i, column in enumerate(table.T)}), stream)
    return stream.getvalue()


def test_a_channel_may_be_several_files_and_a_pipe(folder: Any, training_csv: bytes) -> None:
    lines = training_csv.splitlines(keepends=True)
    folder.channel("train", b"".join(lines[:300]), file="a/part-0")
    folder.channel("train", b"".join(lines[300:600]), file="b/part-1")
    code, log = folder.train()
    assert code == 0, log
    assert "train: 600 rows x 16 features" in log

    fifo = folder.base / "input" / "data" / "train_0"
    os.mkfifo(fifo)
    folder.channels["train"]["TrainingInputMode"] = "Pipe"
    writer = threading.Thread(target=lambda: fifo.write_bytes(b"".join(lines[:700])), daemon=True)
    writer.start()
    code, log = folder.train()
    assert code == 0, log
    assert "train: 700 rows x 16 features" in log


def test_objects_wrapped_in_recordio_are_unwrapped_from_a_pipe(folder: Any, training_csv: bytes) -> None:
    lines = training_csv.splitlines(keepends=True)
    folder.channel("train", b"", TrainingInputMode="Pipe", RecordWrapperType="RecordIO")
    # The second object starts on a line of its own though the first one ends without a newline.
    wrapped = recordio.frame(b"".join(lines[:100]).rstrip()) + recordio.frame(b"".join(lines[100:250]))
    (folder.base / "input" / "data" / "train_0").write_bytes(wrapped)
    code, log = folder.train()
    assert code == 0, log
    assert "train: 250 rows x 16 features" in log


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_published_objective_trains(folder: Any, census: np.ndarray, objective: str) -> None:
    labels, features = census[:300, :1], census[:300, 1:]
    if objective.startswith("multi:"):
        folder.hyperparameters["num_class"] = "6"
        labels, features = features[:, 2:3], features[:, 3:]
    if objective.startswith(("reg:gamma", "survival:")):
        labels = labels + 1
    body = libsvm.write(features, labels)
    if objective.startswith("rank:"):
        lines = body.decode().splitlines()
        body = "".join(
            f"{label} qid:{number // 10} {rest}\n"
            for number, (label, _, rest) in enumerate(line.partition(" ") for line in lines)
        ).encode()
    folder.hyperparameters["objective"] = objective
    folder.channel("train", body, "text/libsvm")
    code, log = folder.train()
    assert code == 0, log
    assert len(logged(log)) == 5
    assert xgboost.Booster(model_file=folder.model).num_boosted_rounds() == 5


def test_every_published_default_is_understood_by_the_library(folder: Any, training_csv: bytes) -> None:
    defaults = {row.name: row.default for row in load("xgboost").hyperparameters if row.default is not None}
    folder.hyperparameters = {**defaults, "num_round": "3", "verbosity": "2"}
    folder.channel("train", training_csv)
    code, log = folder.train()
    assert code == 0, log
    assert len(logged(log)) == 3


def test_csv_weights_take_the_second_column(folder: Any, census: np.ndarray) -> None:
    weights = np.where(census[:500, 0] == 1, 0.0, 1.0)[:, None]
    folder.hyperparameters |= {"csv_weights": "1", "eval_metric": "accuracy"}
    folder.channel("train", csv.write(np.column_stack([census[:500, :1], weights, census[:500, 1:]])))
    code, log = folder.train()
    assert code == 0, log
    assert "500 rows x 16 features" in log
    scores = xgboost.Booster(model_file=folder.model).predict(xgboost.DMatrix(census[:500, 1:]))
    assert (scores < 0.5).all(), "rows of weight 0 must not count"


def test_early_stopping_keeps_the_best_round(folder: Any, census: np.ndarray) -> None:
    random = np.random.default_rng(1)
    noise = np.column_stack([random.integers(0, 2, 300), random.random((300, 4))]).astype(np.float32)
    folder.hyperparameters |= {"num_round": "200", "early_stopping_rounds": "3", "eval_metric": "auc,f1"}
    folder.hyperparameters["_tuning_objective_metric"] = "validation:error"
    folder.channel("train", csv.write(noise[:200]))
    folder.channel("validation", csv.write(noise[200:]))
    code, log = folder.train()
    assert code == 0, log
    errors = [float(re.search(r"validation-error:(\S+)", line)[1]) for line in logged(log)]  # type: ignore[index]
    best = int(np.argmin(errors))
    assert len(errors) == best + 4
    assert xgboost.Booster(model_file=folder.model).num_boosted_rounds() == best + 1


def test_a_run_goes_on_from_its_last_readable_checkpoint(folder: Any, training_csv: bytes) -> None:
    folder.channel("train", training_csv)
    folder.config("checkpointconfig", {"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/checkpoints"})
    code, log = folder.train()
    assert code == 0, log
    folder.hyperparameters["num_round"] = "9"
    checkpoints = folder.base / "checkpoints"
    (checkpoints / "xgboost-checkpoint.5").write_bytes(b"cut off")
    code, log = folder.train()
    assert code == 0, log
    assert "Resuming from iteration 5" in log
    assert [line.split("\t")[0] for line in logged(log)] == ["[5]", "[6]", "[7]", "[8]"]
    assert xgboost.Booster(model_file=folder.model).num_boosted_rounds() == 9
    assert sorted(path.name for path in checkpoints.iterdir()) == [
        f"xgboost-checkpoint.{i}" for i in range(4, 9)
    ]


def test_the_model_channel_continues_an_earlier_job(folder: Any, training_csv: bytes) -> None:
    folder.channel("train", training_csv)
    assert folder.train()[0] == 0
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as members:
        members.add(folder.model, "xgboost-model")
    folder.channel("model", archive.getvalue(), "application/x-sagemaker-model", "model.tar.gz")
    code, log = folder.train()
    assert code == 0, log
    assert xgboost.Booster(model_file=folder.model).num_boosted_rounds() == 10


def test_sigterm_keeps_the_last_round_when_asked(folder: Any, training_csv: bytes) -> None:
    folder.hyperparameters |= {"num_round": "1000000", "save_model_on_termination": "true"}
    folder.channel("train", training_csv)
    process = folder.start()
    for line in process.stdout:
        if line.startswith("[3]"):
            process.send_signal(signal.SIGTERM)
            break
    rest = process.stdout.read()
    assert process.wait(timeout=240) == 0
    rounds = xgboost.Booster(model_file=folder.model).num_boosted_rounds()
    assert rounds == len(logged(rest)) + 4


def test_sigterm_ends_other_runs_at_once_without_a_model(folder: Any, training_csv: bytes) -> None:
    folder.hyperparameters["num_round"] = "1000000"
    folder.channel("train", training_csv)
    process = folder.start()
    for line in process.stdout:
        if line.startswith("[3]"):
            process.send_signal(signal.SIGTERM)
            break
    process.stdout.read()
    assert process.wait(timeout=240) == 143
    assert not folder.model.exists()


def test_cross_validation_saves_a_model_a_fold(folder: Any, training_csv: bytes) -> None:
    folder.hyperparameters |= {"_kfold": "3", "num_round": "2"}
    folder.channel("train", training_csv)
    code, log = folder.train()
    assert code == 0, log
    assert sorted(path.name for path in folder.model.parent.iterdir()) == [
        f"xgboost-model-{i}" for i in range(3)
    ]
    ends = [
        float(line.rpartition("validation-logloss:")[2])
        for line in logged(log)
        if line.startswith(("[1]", "[2]"))
    ]
    assert ends[3] == pytest.approx(np.mean(ends[:3]), abs=1e-5), (
        "the job's metric is the mean over the folds"
    )


def test_retired_hyperparameters_are_named_in_the_log(folder: Any, training_csv: bytes) -> None:
    folder.hyperparameters |= {
        "sketch_eps": "0.03",
        "deterministic_histogram": "true",
        "objective": "reg:linear",
    }
    folder.channel("train", training_csv)
    code, log = folder.train()
    assert code == 0, log
    assert "Ignoring sketch_eps" in log
    assert "Using reg:squarederror for reg:linear" in log


def _break_csv(folder: Any) -> None:
    folder.channel("train", b"1,2,3\n0,2,3\n1,oops,3\n", file="people.csv")


def _header(folder: Any) -> None:
    folder.channel("train", b"label,a,b\n1,2,3\n", file="people.csv")


def _empty(folder: Any) -> None:
    folder.channel("train", b"")


def _wrong_label(folder: Any) -> None:
    folder.channel("train", b"7,2,3\n0,2,3\n")


def _uneven_files(folder: Any) -> None:
    folder.channel("train", b"1,2,3\n", file="a.csv")
    folder.channel("train", b"1,2,3,4\n", file="b.csv")


def _no_channel(folder: Any) -> None:
    folder.channels = {}


def _unknown_hyperparameter(folder: Any) -> None:
    folder.hyperparameters["depth"] = "3"


@pytest.mark.parametrize(
    ("arrange", "reason"),
    [
        (_break_csv, "ClientError: people.csv, line 3, column 2: 'oops' is not a number"),
        (_header, "ClientError: people.csv, line 1, column 1: 'label' is not a number. Is it a header?"),
        (_empty, "ClientError: No data in training channel path "),
        (
            _wrong_label,
            "ClientError: Channel 'train', row 1: label must be in [0,1] for binary:logistic, and is 7",
        ),
        (_uneven_files, "ClientError: b.csv: 3 features where a.csv has 2"),
        (_no_channel, "ClientError: Missing required channel: train"),
        (_unknown_hyperparameter, "ClientError: Extraneous hyperparameter found: depth"),
    ],
)
def test_a_users_mistake_fails_with_its_place_and_remedy(folder: Any, arrange: Any, reason: str) -> None:
    arrange(folder)
    code, log = folder.train()
    assert code == 1
    assert folder.failure.startswith(reason), log
    assert not folder.model.exists()
