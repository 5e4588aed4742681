"""The whole main job, as `make demo` runs it: a server, two trainings, an endpoint, three thousand calls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]


# Also outside the quick tests because its splits are drawn by chance: one run in 200 falls outside three sigma.
@pytest.mark.slow
def test_the_demo_holds_and_takes_its_folder_along(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(TOP / "scripts" / "demo")],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=280,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Everything held." in ran.stdout
    assert list(tmp_path.glob("colonnade-demo-*")) == []
