"""The `colonnade` command: a file per command, each with `add` (its arguments) and `run` (its exit code).

Nothing heavy is imported before a command needs it, so that `--help` and `status` answer at once. What a person did wrong
ends in one line that says what to do, never in a traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from colonnade.cli.terminal import FAILED, USAGE, CommandError, complain

_COMMANDS = {
    "up": "start the server",
    "down": "stop the server and its jobs",
    "status": "show the server, its endpoints and the jobs that run",
    "configure": "write the AWS profile that points boto3 and the AWS CLI here",
    "logs": "print what a job or an endpoint has logged",
    "backup": "copy everything that must not be lost into one file, while the server goes on",
    "restore": "make a data folder from a backup",
    "where": "say which line answers an operation",
    "doctor": "try out what this machine allows, and say what to mend",
    "version": "print the version",
}
_CHILDREN = ("_leader", "_worker")
_DESCRIPTION = (
    "The machine-learning stack of AWS, self-hosted: boto3 and the AWS CLI are its clients, unchanged."
)
_EPILOG = """\
exit codes:  0 done   1 failed   2 wrong usage or settings   3 no server is running
settings:    flags, else COLONNADE_* variables (COLONNADE_PORT=4567), else colonnade.toml in the data folder
debugging:   COLONNADE_LOG_LEVEL=debug shows the traceback of an error
"""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments[0] if arguments else ""
    if command in _CHILDREN:
        child: int = import_module("colonnade.cli.children").run(arguments)
        return child
    parser = _parser(command)
    if not arguments:
        parser.print_help()
        return USAGE
    try:
        return _run(parser.parse_args(arguments))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has left (`colonnade logs x | head`); the interpreter must not flush into it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run(arguments: argparse.Namespace) -> int:
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 - the last place before the person: it becomes one line
        if "debug" in (os.environ.get("COLONNADE_LOG_LEVEL"), getattr(arguments, "log_level", None)):
            import traceback

            traceback.print_exc()
        return _told(error)
    return code


def _told(error: Exception) -> int:
    from colonnade.credentials import CredentialsError
    from colonnade.settings import SettingsError
    from colonnade.supervisor import StartError
    from colonnade.supervisor.folder import FolderError
    from colonnade.supervisor.listening import PortError

    if isinstance(error, CommandError):
        complain(str(error))
        return error.code
    if isinstance(error, SettingsError):
        complain(str(error))
        return USAGE
    if isinstance(error, FolderError | PortError | CredentialsError | StartError):
        complain(str(error))
        return FAILED
    complain(
        f"{type(error).__name__}: {error} (a fault of Colonnade's: COLONNADE_LOG_LEVEL=debug shows where)"
    )
    return FAILED


def _parser(asked: str) -> argparse.ArgumentParser:
    """All commands by name; arguments only of the one that is asked for."""
    parser = argparse.ArgumentParser(
        "colonnade",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(metavar="command", required=True)
    for name, summary in _COMMANDS.items():
        command = subparsers.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == asked:
            module = import_module(f"colonnade.cli.{name}")
            module.add(command)
            command.set_defaults(run=module.run)
    return parser
