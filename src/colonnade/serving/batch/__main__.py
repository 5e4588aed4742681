"""`python -m colonnade.serving.batch`: what the plan in this work's folder says. Exit code 1 and a text for users when a file failed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from colonnade.serving.batch import failures
from colonnade.serving.batch.answering import preload
from colonnade.serving.batch.plan import DATA_LOG, FAILURE, PATH, decode
from colonnade.serving.batch.transform import NotLoaded, Transform


def main() -> int:
    base = Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")
    plan = decode((base / PATH).read_bytes())
    _tell(base, [failures.settings(plan)])
    preload(plan)
    try:
        failed = Transform(plan, base).run()
    except NotLoaded as reason:
        return _end(
            base, f"AlgorithmError: See job logs for more information. The model cannot be loaded: {reason}"
        )
    for failure in failed:
        _tell(base, failures.told(failure))
    return _end(base, failures.reason(failed)) if failed else 0


def _tell(base: Path, lines: Iterable[str]) -> None:
    with (base / DATA_LOG).open("a", encoding="utf-8") as log:
        log.writelines(f"{line}\n" for line in lines)


def _end(base: Path, reason: str) -> int:
    (base / FAILURE).write_text(reason, encoding="utf-8")
    return 1


if __name__ == "__main__":
    sys.exit(main())
