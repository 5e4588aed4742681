"""How the server's processes log: one line per record on stderr, for people or for machines."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from colonnade.settings import Settings


def configure(settings: Settings, process: str) -> None:
    """Once per process, before anything logs. `process` tells the lines of leader and workers apart."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(process) if settings.log_format == "json" else _Text(process))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    # These speak of their own inner life below warning.
    for noisy in ("botocore", "uvicorn", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _instant(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


class _Text(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        place = record.name.removeprefix("colonnade.")
        where = self._process if place == self._process else f"{self._process} {place}"
        line = f"{_instant(record)} {record.levelname.lower()} {where}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        # What a line says in words, once more for machines: `extra={"fields": {...}}`.
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)
