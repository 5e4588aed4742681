"""`colonnade where CreateTrainingJob`: from an operation to the line that answers it."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from colonnade.cli.terminal import FAILED, USAGE, CommandError, print_json

if TYPE_CHECKING:
    from colonnade.kernel.operations import Operation

FIRST = ("sagemaker", "sagemaker-runtime", "s3", "iam", "sts", "logs", "cloudwatch")
"""Services looked into even when none of their operations is written."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "operation",
        metavar="OPERATION",
        help="CreateTrainingJob, sagemaker:CreateTrainingJob or create_training_job",
    )
    parser.add_argument("--json", action="store_true", help="for machines")


def run(arguments: argparse.Namespace) -> int:
    from colonnade import app
    from colonnade.kernel import operations

    app.load_operations()
    service, _, asked = arguments.operation.rpartition(":")
    written = operations.registered()
    places = [
        _place(each)
        for each in written.values()
        if _same(each.name, asked) and (not service or each.service == service)
    ]
    if not places:
        raise _why_not(asked, service, {each for each, _ in written})
    if arguments.json:
        print_json(places)
    else:
        for place in places:
            named = f"  {place['service']}:{place['operation']}" if len(places) > 1 else ""
            print(f"{place['file']}:{place['line']}{named}")
    return 0


def _same(name: str, asked: str) -> bool:
    """boto3's spelling is the operation's name in lower case, with underscores somewhere."""
    return name.lower() == asked.replace("_", "").lower()


def _place(operation: Operation) -> dict[str, str | int]:
    file = Path(sys.modules[operation.module].__file__ or operation.module)
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return {
        "service": operation.service,
        "operation": operation.name,
        "effect": operation.effect.value,
        "file": str(shown),
        "line": operation.line,
    }


def _why_not(asked: str, service: str, written: set[str]) -> CommandError:
    """AWS has it and nobody wrote it, or AWS has no such operation."""
    from colonnade.kernel import models

    services = [service] if service else list(dict.fromkeys([*FIRST, *sorted(written)]))
    for each in services:
        if not models.exists(each):
            return CommandError(
                f"there is no service {each!r}: give boto3's name for it, like sagemaker-runtime", USAGE
            )
    names = {f"{each}:{name}": name for each in services for name in models.service(each).operation_names}
    absent = [full for full, name in names.items() if _same(name, asked)]
    if absent:
        return CommandError(
            f"{', '.join(absent)}: not implemented yet (docs/operations.md lists what is)", FAILED
        )
    near = difflib.get_close_matches(_camel(asked), set(names.values()), n=3, cutoff=0.7)
    return CommandError(
        f"no operation is named {asked!r}"
        + (f": did you mean {' or '.join(near)}?" if near else " in AWS's models"),
        USAGE,
    )


def _camel(asked: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in asked.split("_"))
