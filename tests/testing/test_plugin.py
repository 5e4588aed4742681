"""The pytest plugin as other projects use it: the examples of docs/testing.md, in a pytest of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PLUGIN = "colonnade.testing.plugin"


def pytest_on(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(TOP / "src"), "AWS_PROFILE": "no-such-profile"}
    command = (sys.executable, "-m", "pytest", "-q", "-p", PLUGIN, "-p", "no:cacheprovider", *arguments)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_the_examples_of_the_documentation_pass(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", (TOP / "docs" / "testing.md").read_text(), re.DOTALL)
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    assert {name for name, _ in blocks} == {"test_uploads.py", "conftest.py", "test_sessions.py"}

    ran = pytest_on(tmp_path)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 passed" in ran.stdout


def test_who_does_not_use_it_pays_nothing_for_it(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n\n"
        "def test_nothing_of_it_is_loaded():\n"
        "    ours = {name for name in sys.modules if name.split('.')[0] in ('colonnade', 'boto3', 'botocore')}\n"
        f"    assert ours == {{'colonnade', 'colonnade.testing', '{PLUGIN}'}}\n"
    )

    ran = pytest_on(tmp_path)

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_pytest_finds_it_by_itself() -> None:
    """Under its module's name, so that `-p` with that name loads it once, not twice."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]

    assert project["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}
