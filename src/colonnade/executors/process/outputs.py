"""Reading what a work left in its folder, which it wrote as it liked: links and special files are not trusted.

A link counts when what it leads to is a regular file inside the folder. Opening goes from folder to folder without
following links, so that one put there in between cannot lead outside.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

LONGEST_FAILURE = 1024


def files(root: Path, folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Regular files below `folder`, by path relative to it, links resolved but never out of `root`; any order."""
    real_root = root.resolve()
    for parent, folders, names in os.walk(folder):
        for name in (*names, *(name for name in folders if Path(parent, name).is_symlink())):
            path = Path(parent, name)
            try:
                target = path.resolve(strict=True)
                status = target.stat()
            except (OSError, RuntimeError):
                continue
            if target.is_relative_to(real_root) and stat.S_ISREG(status.st_mode):
                yield path.relative_to(folder).as_posix(), status


def open_file(root: Path, path: Path) -> BinaryIO:
    """Raises FileNotFoundError for what is no regular file inside `root`."""
    try:
        target = path.resolve(strict=True)
        relative = target.relative_to(root.resolve())
        descriptor = _open_beneath(root, relative.parts)
    except (OSError, ValueError, RuntimeError) as error:
        raise FileNotFoundError(f"no such file in the work's folder: {path.name}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(f"not a regular file: {path.name}")
    return os.fdopen(descriptor, "rb")


def _open_beneath(root: Path, parts: tuple[str, ...]) -> int:
    holder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=holder)
            os.close(holder)
            holder = inner
        return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=holder)
    finally:
        os.close(holder)


def failure_text(ml: Path) -> str:
    """The first characters of `output/failure`, where the command wrote it."""
    try:
        with open_file(ml, ml / "output" / "failure") as file:
            return file.read(LONGEST_FAILURE * 4).decode("utf-8", "replace")[:LONGEST_FAILURE]
    except FileNotFoundError:
        return ""
