"""Estimators and boosters that were saved elsewhere, served without a line of code: inside the server where that is exact."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colonnade.testing.server import Server
from journeys.team import SCIKIT_LEARN, Team

LIGHTGBM = "123456789012.dkr.ecr.us-east-1.amazonaws.com/sagemaker-lightgbm:4"
ROWS = np.random.default_rng(5).normal(size=(400, 3))
TARGET = np.abs(ROWS[:, 0] + ROWS[:, 1] ** 2)


def packed(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def model(team: Team, image: str, name: str, content: bytes) -> str:
    """CreateModel with nothing but the file; answers its name."""
    made = team.name("model")
    url = team.put(f"{made}/model.tar.gz", packed(name, content))
    container = {"Image": image, "ModelDataUrl": url}
    team.server.client("sagemaker").create_model(
        ModelName=made, ExecutionRoleArn=team.role, PrimaryContainer=container
    )
    return made


def dumped(estimator: Any) -> bytes:
    joblib = pytest.importorskip("joblib")
    stream = io.BytesIO()
    joblib.dump(estimator.fit(ROWS, TARGET), stream)
    return stream.getvalue()


def status(server: Server, *flags: str) -> str:
    command = [sys.executable, "-m", "colonnade", "status", "--data", str(server.data), *flags]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_saved_models_are_served_without_a_script_and_status_says_how(team: Team, tmp_path: Path) -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    lightgbm = pytest.importorskip("lightgbm")
    exact = HistGradientBoostingRegressor(max_iter=20)
    scaled = make_pipeline(StandardScaler(), RandomForestRegressor(20, random_state=0))
    booster = lightgbm.train(
        {"objective": "regression", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(ROWS, TARGET), 20
    )
    endpoint = team.deploy(
        model(team, SCIKIT_LEARN, "model.joblib", dumped(exact)),
        model(team, SCIKIT_LEARN, "model.joblib", dumped(scaled)),
        model(team, LIGHTGBM, "model.txt", booster.model_to_string().encode()),
    )
    runtime = team.server.client("sagemaker-runtime")

    def answered(variant: str, **accept: str) -> tuple[str, str]:
        body = "\n".join(",".join(f"{value:.9g}" for value in row) for row in ROWS[:5].astype(np.float32))
        found = runtime.invoke_endpoint(
            EndpointName=endpoint, TargetVariant=variant, ContentType="text/csv", Body=body, **accept
        )
        return found["Body"].read().decode(), found["ContentType"]

    rows = ROWS[:5].astype(np.float32)
    for variant, wanted in (
        ("A", exact.predict(rows)),
        ("B", scaled.predict(rows)),
        ("C", booster.predict(rows)),
    ):
        body, kind = answered(variant)
        assert kind == "application/json"
        np.testing.assert_allclose(json.loads(body), wanted, rtol=1e-5, atol=1e-5)
        body, kind = answered(variant, Accept="text/csv")
        assert kind == "text/csv"
        np.testing.assert_allclose([float(line) for line in body.splitlines()], wanted, rtol=1e-5, atol=1e-5)

    served = {
        each["variant"]: each
        for each in json.loads(status(team.server, "--json"))["served"]
        if each["endpoint"] == endpoint
    }
    assert {name: each["served"] for name, each in served.items()} == {
        "A": "compiled",
        "B": "native",
        "C": "compiled",
    }
    assert "check rows differ from scikit-learn's answer" in served["B"]["reason"]
    shown = status(team.server)
    assert f"{endpoint} / A  inside the server" in shown
    assert f"{endpoint} / B  by its own library  as ONNX, " in shown
