"""A training job's folder, /opt/ml or wherever it was relocated to, as the algorithm sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

_FAILURE_LIMIT = 1024


@dataclass(frozen=True)
class Folder:
    base: Path

    @property
    def model(self) -> Path:
        return self.base / "model"

    def data(self, channel: str) -> Path:
        return self.base / "input" / "data" / channel

    def pipe(self, channel: str, epoch: int) -> Path:
        """The FIFO of a Pipe-mode channel; it may appear only when the one before was read."""
        return self.base / "input" / "data" / f"{channel}_{epoch}"

    def hyperparameters(self) -> dict[str, str]:
        return {name: str(value) for name, value in self._config("hyperparameters").items()}

    def channels(self) -> dict[str, dict[str, str]]:
        return self._config("inputdataconfig")

    def hosts(self) -> list[str]:
        return list(self._config("resourceconfig").get("hosts", ["algo-1"]))

    def checkpoints(self) -> Path | None:
        """Where checkpoints go; None when the job asked for none."""
        config = self._config("checkpointconfig")
        if not config:
            return None
        path = PurePosixPath(config.get("LocalPath") or "/opt/ml/checkpoints")
        # The request names the path inside a container; outside one, /opt/ml is our base.
        return self.base / path.relative_to("/opt/ml") if path.is_relative_to("/opt/ml") else Path(path)

    def fail(self, reason: str) -> None:
        """Leave the text that becomes the job's FailureReason."""
        path = self.base / "output" / "failure"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(reason[:_FAILURE_LIMIT])

    def _config(self, name: str) -> dict[str, Any]:
        path = self.base / "input" / "config" / f"{name}.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}
