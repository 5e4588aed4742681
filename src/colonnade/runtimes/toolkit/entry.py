"""Running the user's program: a Python file, a package or a shell command, whichever it is (semantics 1.5)."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Mapping
from pathlib import Path

from colonnade.runtimes.toolkit.failures import ProgramFailed
from colonnade.runtimes.toolkit.settings import Settings

_KEPT = 16_384
"""Last characters of the error output, kept for the failure text."""


def fetch(settings: Settings) -> None:
    """Put a program that lies in a local folder or archive into the code folder; S3 sources were staged there before."""
    source = Path(settings.submit_directory)
    if source == settings.code or any(settings.code.glob("*")) or not source.exists():
        return
    if source.is_dir():
        shutil.copytree(source, settings.code, dirs_exist_ok=True)
        return
    settings.code.mkdir(parents=True, exist_ok=True)
    with tarfile.open(source) as archive:
        archive.extractall(settings.code, filter="data")


def command(settings: Settings, arguments: list[str]) -> list[str]:
    program = settings.program
    kind = kind_of(settings)
    if kind == "program":
        return [sys.executable, program, *arguments]
    if kind == "package":
        return [sys.executable, "-m", program.removesuffix(".py"), *arguments]
    return ["/bin/sh", "-c", " ".join([f"./{program}", *map(shlex.quote, arguments)])]


def kind_of(settings: Settings) -> str:
    """First match wins."""
    if settings.program.endswith(".sh"):
        return "command"
    if (settings.code / "setup.py").exists():
        return "package"
    return "program" if settings.program.endswith(".py") else "command"


def prepare(settings: Settings) -> None:
    """Install what the program needs and make it executable. Raises ProgramFailed."""
    requirements = settings.code / "requirements.txt"
    kind = kind_of(settings)
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    if kind == "package":
        more = ["-r", "requirements.txt"] if requirements.exists() else []
        _run("InstallModuleError", [*pip, ".", *more], settings.code, dict(os.environ))
    elif kind == "program" and requirements.exists() and not _laid(requirements):
        _run("InstallRequirementsError", [*pip, "-r", "requirements.txt"], settings.code, dict(os.environ))
    elif kind == "command":
        path = settings.code / settings.program
        if path.exists():
            path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def _laid(requirements: Path) -> bool:
    """Whether the executor laid just these requirements over the runtime already."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    return os.environ.get("COLONNADE_REQUIREMENTS") == digest


def run(settings: Settings, words: list[str], variables: Mapping[str, str]) -> None:
    """Raises ProgramFailed unless the program ends with 0."""
    _run("ExecuteUserScriptError", words, settings.code, {**os.environ, **variables})


def _run(kind: str, words: list[str], folder: Path, variables: dict[str, str]) -> None:
    """Errors go where ours go, and their end is kept. Everything else is inherited, so output streams as it comes."""
    process = subprocess.Popen(words, cwd=folder, env=variables, stderr=subprocess.PIPE)
    kept = bytearray()
    reader = threading.Thread(target=_pass_on, args=(process, kept), daemon=True)
    reader.start()
    code = process.wait()
    # What it left running in the background may hold the pipe for good.
    reader.join(timeout=2)
    if code != 0:
        raise ProgramFailed(kind, code, kept.decode("utf-8", "replace"), words)


def _pass_on(process: subprocess.Popen[bytes], kept: bytearray) -> None:
    assert process.stderr is not None
    descriptor = process.stderr.fileno()
    while data := os.read(descriptor, 1 << 16):
        view = memoryview(data)
        while view:
            view = view[os.write(2, view) :]
        kept += data
        del kept[:-_KEPT]
