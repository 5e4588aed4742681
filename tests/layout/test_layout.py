"""Rules of the tree that no single file can keep: names, imports, what a clone may hold. The layers are in `make check`."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

TOP = Path(__file__).resolve().parents[2]
SOURCE = TOP / "src" / "colonnade"

NAMED_FOR_A_ROLE = {"util", "utils", "common", "helper", "helpers", "manager", "managers", "misc"}
HEAVY = (
    "ray",
    "torch",
    "sklearn",
    "xgboost",
    "pandas",
    "scipy",
    "onnx",
    "onnxmltools",
    "skl2onnx",
    "pyarrow",
)
LATE = ("numpy", "onnxruntime", "botocore.compat", "urllib3")
"""Declared, and loaded with the first thing that needs them: start-up and idle memory are features."""
DISTRIBUTIONS = {"sklearn": "scikit-learn", "xgboost": "xgboost-cpu"}
"""Where the module is not called as what is installed."""
BROUGHT_ALONG = {"scipy": "sklearn", "joblib": "sklearn"}
"""Modules that come with another one, of whose interface they are a part."""

MACHINE_SPECIFIC = re.compile(
    r"/(?:work/(?:main|shared|brief)|opt/(?:pypi|wheels))\b|\bpy(?:pi\.org|thonhosted)"
)
"""Folders of the machine that this is developed on, and hosts of a registry."""


def test_no_module_is_named_for_a_role_instead_of_its_subject() -> None:
    named = [path for path in SOURCE.rglob("*") if path.stem in NAMED_FOR_A_ROLE]

    assert named == []


@pytest.mark.parametrize("module", ["colonnade.app", "colonnade.cli", "colonnade.supervisor"])
def test_the_control_plane_starts_without_heavy_libraries(module: str) -> None:
    assert heavy_modules_after(f"import {module}") == []


def test_no_operation_imports_a_heavy_library_when_it_is_loaded() -> None:
    assert heavy_modules_after("from colonnade import app; app.load_operations()", HEAVY + LATE) == []


def test_a_worker_without_models_needs_neither_numpy_nor_onnxruntime() -> None:
    worker = "import colonnade.gateway.app, colonnade.serving.router, colonnade.serving.snapshot"

    assert heavy_modules_after(worker, HEAVY + LATE) == []


def heavy_modules_after(statement: str, unwanted: tuple[str, ...] = HEAVY) -> list[str]:
    program = (
        f"import json, sys\n{statement}\nprint(json.dumps([m for m in {unwanted!r} if m in sys.modules]))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=TOP / "src")
    assert ran.returncode == 0, ran.stderr
    found: list[str] = json.loads(ran.stdout.splitlines()[-1])
    return found


def test_every_library_that_is_imported_is_declared() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    extras = [text for extra in project["optional-dependencies"].values() for text in extra]
    declared = {Requirement(text).name for text in [*project["dependencies"], *extras]}

    missing = {
        f"{path.relative_to(TOP)}: {module}"
        for path in SOURCE.rglob("*.py")
        for module in imported(path)
        if distribution(module) not in declared
    }

    assert missing == set()


def imported(path: Path) -> Iterator[str]:
    """The top names of what is neither ours nor Python's."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            if top != "colonnade" and top not in sys.stdlib_module_names:
                yield top


def distribution(module: str) -> str:
    module = BROUGHT_ALONG.get(module, module)
    return DISTRIBUTIONS.get(module, module)


def test_changes_hold_what_users_will_notice() -> None:
    fragments = {path.name for path in (TOP / "changes").glob("*.md")} - {"README.md"}

    assert fragments or (TOP / "CHANGELOG.md").exists()


def test_nothing_in_the_repository_belongs_to_one_machine() -> None:
    offences = [
        f"{path.relative_to(TOP)}:{number}: {line.strip()[:120]}"
        for path in tracked_files()
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1)
        if MACHINE_SPECIFIC.search(line)
    ]

    assert offences == []


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [TOP / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and path.suffix != ".gz"]
