"""The two files that AWS clients read their profiles from, edited in place: every other line stays as it is.

`configparser` would drop comments and order, so the few lines of a section are put in by hand. Format:
https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_SECTION = re.compile(r"^\[(?P<name>[^\]]*)\]")
_KEY = re.compile(r"^(?P<key>[^\s#;=\[][^=]*?)\s*=")


def config_file(environ: Mapping[str, str]) -> Path:
    return _file(environ, "AWS_CONFIG_FILE", "config")


def credentials_file(environ: Mapping[str, str]) -> Path:
    return _file(environ, "AWS_SHARED_CREDENTIALS_FILE", "credentials")


def _file(environ: Mapping[str, str], variable: str, name: str) -> Path:
    return Path(environ.get(variable) or Path(environ.get("HOME") or Path.home(), ".aws", name)).expanduser()


def config_section(profile: str) -> str:
    """In the config file a profile's section bears the word; in the credentials file, and for `default`, it does not."""
    return profile if profile == "default" else f"profile {profile}"


def value(text: str, section: str, key: str) -> str | None:
    inside = False
    for line in text.splitlines():
        inside = _names(line, section) if _SECTION.match(line) else inside
        found = _KEY.match(line)
        if inside and found and found["key"].strip() == key:
            return line.partition("=")[2].strip()
    return None


def set_values(text: str, section: str, values: Mapping[str, str]) -> str:
    """The text with these keys in that section, replaced where they stand, else added; idempotent."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    start = next((at for at, line in enumerate(lines) if _names(line, section)), None)
    if start is None:
        gap = ["\n"] if lines and lines[-1].strip() else []
        return "".join(
            [*lines, *gap, f"[{section}]\n", *(f"{key} = {value}\n" for key, value in values.items())]
        )
    end = next((at for at in range(start + 1, len(lines)) if _SECTION.match(lines[at])), len(lines))
    body = _with_values(lines[start + 1 : end], values)
    return "".join([*lines[: start + 1], *body, *lines[end:]])


def _names(line: str, section: str) -> bool:
    found = _SECTION.match(line)
    return found is not None and found["name"].split() == section.split()


def _with_values(body: list[str], values: Mapping[str, str]) -> list[str]:
    left = dict(values)
    result = []
    for line in body:
        key = _KEY.match(line)
        name = key["key"].strip() if key else None
        if name in values:
            # A key given twice keeps its first place only: clients would refuse the file.
            if name in left:
                result.append(f"{name} = {left.pop(name)}\n")
        else:
            result.append(line)
    trailing = len(result)
    # What stands before the next section's head, a comment too, belongs to that one.
    while trailing and not result[trailing - 1].partition("#")[0].strip():
        trailing -= 1
    return [*result[:trailing], *(f"{key} = {value}\n" for key, value in left.items()), *result[trailing:]]


def write(path: Path, text: str, mode: int) -> bool:
    """Whether anything changed. The file is replaced whole, through links, and never wider open than `mode` allows."""
    target = path.resolve()
    known = target.exists()
    if known and target.read_text(encoding="utf-8") == text and not target.stat().st_mode & 0o777 & ~mode:
        return False
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    kept = target.stat().st_mode & mode if known else mode & 0o600
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, kept)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return True
