"""The commands answer at once because they import little, and the supervisor stays small for the same reason."""

import subprocess
import sys

HEAVY = (
    "{'botocore', 'uvicorn', 'numpy', 'rich', 'msgspec', 'onnxruntime', 'colonnade.kernel', 'colonnade.app'}"
)


def imported_by(statement: str) -> str:
    program = f"import sys\n{statement}\nprint(sorted({HEAVY} & set(sys.modules)))"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_help_imports_nothing_heavy() -> None:
    assert imported_by("from colonnade.cli import _parser; _parser('').format_help()") == "[]"


def test_no_command_imports_anything_heavy_before_it_runs() -> None:
    commands = "up down status configure logs where doctor version children"
    assert (
        imported_by(
            f"import importlib\nfor n in '{commands}'.split(): importlib.import_module('colonnade.cli.' + n)"
        )
        == "[]"
    )


def test_the_supervisor_imports_nothing_heavy() -> None:
    assert imported_by("import colonnade.supervisor") == "[]"
