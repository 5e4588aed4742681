from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colonnade.algorithms import load
from colonnade.algorithms.contract.job import run
from colonnade.formats import csv


@dataclass
class TrainingFolder:
    """A job's folder as the platform lays it out, and the process that trains on it."""

    base: Path
    hyperparameters: dict[str, str] = field(default_factory=dict)
    channels: dict[str, dict[str, str]] = field(default_factory=dict)

    def channel(
        self, name: str, data: bytes, content_type: str = "text/csv", file: str = "part-0", **config: str
    ) -> None:
        self.channels[name] = {"ContentType": content_type, "TrainingInputMode": "File", **config}
        path = self.base / "input" / "data" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def config(self, name: str, content: Any) -> None:
        path = self.base / "input" / "config" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))

    def lay_out(self) -> None:
        self.config("hyperparameters", self.hyperparameters)
        self.config("inputdataconfig", self.channels)
        self.config("resourceconfig", {"current_host": "algo-1", "hosts": ["algo-1"]})

    def start(self, algorithm: str = "xgboost") -> subprocess.Popen[str]:
        self.lay_out()
        return subprocess.Popen(
            [sys.executable, "-m", "colonnade.algorithms", algorithm],
            env={**os.environ, "SAGEMAKER_BASE_DIR": str(self.base), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def train(self) -> tuple[int, str]:
        """In this process, since importing xgboost anew for each test takes longer than training."""
        self.lay_out()
        before, log = signal.getsignal(signal.SIGTERM), io.StringIO()
        try:
            with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                return run(load("xgboost"), self.base), log.getvalue()
        finally:
            signal.signal(signal.SIGTERM, before)

    @property
    def model(self) -> Path:
        return self.base / "model" / "xgboost-model"

    @property
    def failure(self) -> str:
        return (self.base / "output" / "failure").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> TrainingFolder:
    return TrainingFolder(tmp_path, {"num_round": "5", "objective": "binary:logistic", "nthread": "1"})


@pytest.fixture(scope="session")
def census() -> np.ndarray:
    """4,000 answers to the American Community Survey of 2015 (US Census Bureau, public domain); label `employed` first."""
    path = Path(__file__).parent / "census-2015.csv.gz"
    return np.loadtxt(path, delimiter=",", dtype=np.float32)


@pytest.fixture(scope="session")
def training_csv(census: np.ndarray) -> bytes:
    return csv.write(census[:3000])


@pytest.fixture(scope="session")
def validation_csv(census: np.ndarray) -> bytes:
    return csv.write(census[3000:])
