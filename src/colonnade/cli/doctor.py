"""`colonnade doctor`: what this machine and this folder allow, tried out; what does not hold is told with the remedy."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from colonnade import credentials
from colonnade.cli import aws_profile, server
from colonnade.cli.terminal import FAILED, print_json, styled
from colonnade.settings import Settings
from colonnade.supervisor import folder, listening

_LEAST_FREE = 2 * 2**30
_COLOURS = {"ok": "32", "note": "33", "wrong": "31"}


@dataclass(frozen=True, slots=True)
class Finding:
    verdict: str
    """ok; note: it works, but you should know; wrong: something does not work."""
    subject: str
    text: str


def add(parser: argparse.ArgumentParser) -> None:
    server.add_folder(parser)
    parser.add_argument("--json", action="store_true", help="for machines")


def run(arguments: argparse.Namespace) -> int:
    chosen = server.chosen(arguments)
    findings = [finding for check in _CHECKS for finding in check(chosen)]
    if arguments.json:
        print_json([asdict(finding) for finding in findings])
    else:
        for each in findings:
            verdict = styled(each.verdict.ljust(5), _COLOURS[each.verdict], sys.stdout)
            print(f"{verdict}  {each.subject.ljust(9)}  {each.text}")
    return FAILED if any(each.verdict == "wrong" for each in findings) else 0


def _system(chosen: Settings) -> Iterator[Finding]:
    text = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    if platform.system() == "Linux":
        yield Finding("ok", "system", text)
    else:
        yield Finding("note", "system", f"{text}: Linux is the tested platform")


def _data(chosen: Settings) -> Iterator[Finding]:
    data = chosen.data
    if not data.exists():
        yield Finding("ok", "data", f"{data} does not exist yet: `colonnade up` makes it")
        return
    if not os.access(data, os.W_OK | os.X_OK):
        yield Finding(
            "wrong", "data", f"{data} cannot be written: run as its owner, or choose another with --data"
        )
        return
    if data.stat().st_mode & 0o077:
        yield Finding("note", "data", f"others can look into {data}: `chmod 700 {data}` closes it")
    free = shutil.disk_usage(data).free
    verdict = "note" if free < _LEAST_FREE else "ok"
    yield Finding(verdict, "data", f"{data}, {free / 2**30:.1f} GiB free")
    try:
        credentials.read(data)
    except credentials.CredentialsError as error:
        yield Finding("wrong" if (data / credentials.FILE).exists() else "ok", "data", str(error))


def _server(chosen: Settings) -> Iterator[Finding]:
    record = folder.running(chosen.data)
    if record:
        yield Finding("ok", "server", f"running at {record.url} (process {record.pid})")
        yield from _profile(chosen, record.url)
        return
    try:
        listening.listen(chosen.host, chosen.port).close()
    except listening.PortError as error:
        yield Finding("wrong", "server", f"not running, and could not: {error}")
    else:
        yield Finding("ok", "server", f"not running; {chosen.host}:{chosen.port} is free")


def _profile(chosen: Settings, url: str) -> Iterator[Finding]:
    config, secrets = (
        _text(find(os.environ)) for find in (aws_profile.config_file, aws_profile.credentials_file)
    )
    address = aws_profile.value(config, "profile colonnade", "endpoint_url")
    key = aws_profile.value(secrets, "colonnade", "aws_access_key_id")
    if address == url and key == credentials.read(chosen.data).access_key_id:
        yield Finding("ok", "profile", f"colonnade points to {url} as root")
    else:
        yield Finding(
            "note", "profile", "colonnade does not point to this server as root: run `colonnade configure`"
        )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _jobs(chosen: Settings) -> Iterator[Finding]:
    """The executor tries its isolation out when it is made, as it does in the server."""
    from colonnade import executors

    with tempfile.TemporaryDirectory(prefix="colonnade-doctor-") as scratch:
        try:
            make: Callable[..., executors.Executor] = executors.load(chosen.executor)
            executor = make(Path(scratch), isolation=chosen.isolation)
        except (RuntimeError, ImportError, OSError) as error:
            yield Finding("wrong", "jobs", str(error))
            return
    kind = getattr(executor, "isolation", "")
    if kind == "plain":
        yield Finding(
            "note",
            "jobs",
            "jobs are trusted: they run as this user and can read the data folder (isolation plain)",
        )
    else:
        yield Finding(
            "ok", "jobs", f"run by {chosen.executor}, kept from the server's files (isolation {kind})"
        )


def _runtimes(chosen: Settings) -> Iterator[Finding]:
    from colonnade import runtimes

    for runtime in runtimes.registered().values():
        missing = [name for name in runtime.libraries if not _version(name)]
        if missing:
            remedy = "is not installed, so its images cannot run: pip install 'colonnade[main]'"
            yield Finding("note", "runtime", f"{runtime.name}: {', '.join(missing)} {remedy}")
        elif runtime.libraries:
            found = ", ".join(f"{name} {_version(name)}" for name in runtime.libraries)
            yield Finding("ok", "runtime", f"{runtime.name}: {found}")


def _version(library: str) -> str:
    """Of the library or of its build without GPU; empty when neither is installed."""
    from importlib import metadata

    for distribution in (library, f"{library}-cpu"):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return ""


_CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (_system, _data, _server, _jobs, _runtimes)
