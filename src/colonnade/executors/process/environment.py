"""Python environments for works, laid by the runner: never the server's own, and at no cost worth naming.

Every work gets a virtual environment of its own (a handful of links and one `.pth` file, about a millisecond), so a script
may `pip install` what it likes and spoils nothing. It shows, in this order: its own packages, the overlay of its
requirements.txt, the packages that the server was installed with. Overlays are virtual environments too, kept by the
digest of what they hold and shared read-only between works.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def packages(environment: Path) -> Path:
    return environment / "lib" / f"python{_VERSION}" / "site-packages"


def lay(environment: Path, python: str, shown: Sequence[str]) -> None:
    """A virtual environment of the interpreter `python` that also shows the packages in `shown`."""
    scripts = environment / "bin"
    scripts.mkdir(parents=True)
    packages(environment).mkdir(parents=True)
    (environment / "pyvenv.cfg").write_text(
        f"home = {Path(python).parent}\ninclude-system-site-packages = false\nversion = {sys.version.split()[0]}\n"
    )
    for name in ("python", "python3", f"python{_VERSION}"):
        (scripts / name).symlink_to(python)
    for name in ("pip", "pip3"):
        (scripts / name).write_text('#!/bin/sh\nexec "${0%/*}/python" -m pip "$@"\n')
        (scripts / name).chmod(0o755)
    lines = [f"import site; site.addsitedir({path!r})" for path in shown]
    (packages(environment) / "shown.pth").write_text("".join(f"{line}\n" for line in lines))


def overlay_name(runtime: str, requirements: str, shown: Sequence[str]) -> str:
    """The same for the same requirements over the same packages, and for nothing else."""
    text = "\0".join([runtime, sys.version, requirements, *shown])
    return f"{runtime}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def give(folder: Path, uid: int) -> None:
    """Make everything below a folder the user's; links are not followed."""
    os.chown(folder, uid, uid)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(os.path.join(parent, name), uid, uid, follow_symlinks=False)  # noqa: PTH118 - hot
