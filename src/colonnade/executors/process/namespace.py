"""A private view of the machine for one work: its folder at `/opt/ml`, its own `/tmp`, without the server's data.

Runs in the process that becomes the command (`enter.py`), between fork and exec. As root the work also gets a user id of
its own, and cannot undo any of this. Without root a user namespace gives the right to mount, but the work keeps the server's
user: it is kept from stumbling over the server's data, not from fetching it through `/proc/<server>/root` on purpose.

The one idea: what must be kept visible is opened first (as `O_PATH` descriptors), then whole folders are covered, then the
kept ones are bound back in from their descriptors at their old paths. That hides the data folder, replaces `/tmp`, and lets an
interpreter below a home directory of mode 0700 be used by a user who may not enter it, without moving anything.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CONTRACT = "/opt/ml"
ENVIRONMENT = "/opt/colonnade/env"
RUN = "/opt/colonnade/run"

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_RDONLY, _NOSUID, _NODEV, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_RELATIME = 1 << 21


def enter(entry: Mapping[str, Any]) -> None:
    """Change this process's view and user for good. Raises OSError where the system does not allow it."""
    if entry["isolation"] == "user-namespace":
        _unshare_user()
    else:
        _unshare(_CLONE_NEWNS)
    _mount("none", "/", None, _REC | _PRIVATE)
    uid = entry["uid"]
    kept = {path: _handle(path) for path in entry["keep"] if Path(path).is_dir()}
    places = {CONTRACT: entry["ml"], ENVIRONMENT: entry["environment"], RUN: entry["run"]}
    handles = {place: _handle(path) for place, path in places.items() if path}
    shown = {f"{CONTRACT}/{path}": _handle(source) for source, path in entry["shown"]}
    temporary = _handle(entry["temporary"])
    _private_opt(handles)
    for place, handle in shown.items():
        _bind(handle, place, read_only=True)
    for ancestor in _unreachable(list(kept), uid):
        _cover(ancestor, kept)
    _bind(temporary, "/tmp")
    _bind_back("/tmp", kept)
    for path in entry["hide"]:
        _cover(path, kept)
    for descriptor in (*kept.values(), *handles.values(), *shown.values(), temporary):
        os.close(descriptor)
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def _unshare_user() -> None:
    """A user namespace in which this user is an ordinary one: its rights to mount end at exec."""
    uid, gid = os.geteuid(), os.getegid()
    _unshare(_CLONE_NEWNS | _CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid or 1000} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid or 1000} {gid} 1")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (source.encode(), target.encode(), kind.encode() if kind else None, flags, data.encode())
    if libc.mount(arguments[0], arguments[1], arguments[2], ctypes.c_ulong(flags), arguments[4]) != 0:
        raise OSError(ctypes.get_errno(), f"mount {source} on {target}: {os.strerror(ctypes.get_errno())}")


def _handle(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def _bind(handle: int, target: str, *, read_only: bool = False) -> None:
    _mount(f"/proc/self/fd/{handle}", target, None, _BIND | _REC)
    if read_only:
        _make_read_only(target)


def _make_read_only(target: str) -> None:
    # Flags that a mount came with may not be dropped inside a user namespace.
    have = os.statvfs(target).f_flag
    flags = have & (_NOSUID | _NODEV | os.ST_NOEXEC | os.ST_NOATIME | os.ST_NODIRATIME)
    flags |= _RELATIME if have & os.ST_RELATIME else 0
    _mount("none", target, None, _REMOUNT | _BIND | _RDONLY | flags)


def _tmpfs(target: str) -> None:
    _mount("tmpfs", target, "tmpfs", _NOSUID | _NODEV, "mode=755,size=16m")


def _private_opt(handles: Mapping[str, int]) -> None:
    """`/opt` as it was, and the work's places in it."""
    opt = Path("/opt")
    opt.mkdir(exist_ok=True)
    entries = [entry for entry in opt.iterdir() if entry.name not in ("ml", "colonnade")]
    links = {str(entry): entry.readlink() for entry in entries if entry.is_symlink()}
    others = {
        str(entry): (_handle(str(entry)), entry.is_dir()) for entry in entries if str(entry) not in links
    }
    _tmpfs("/opt")
    for path, target in links.items():
        Path(path).symlink_to(target)
    for path, (handle, is_folder) in others.items():
        if is_folder:
            Path(path).mkdir()
        else:
            Path(path).touch()
        _bind(handle, path)
        os.close(handle)
    for place, handle in handles.items():
        Path(place).mkdir(parents=True)
        _bind(handle, place)
    _make_read_only("/opt")


def _unreachable(paths: Sequence[str], uid: int | None) -> list[str]:
    """Outermost folders on the way to `paths` that a stranger may not pass through."""
    if uid is None:
        return []
    found = []
    for path in paths:
        for ancestor in reversed(Path(path).parents):
            if not ancestor.stat().st_mode & 0o001:
                found.append(str(ancestor))
                break
    return sorted(set(found), key=len)


def _cover(path: str, kept: Mapping[str, int]) -> None:
    if Path(path).is_file():
        _mount("/dev/null", path, None, _BIND)
    if not Path(path).is_dir():
        return
    _tmpfs(path)
    _bind_back(path, kept)
    _make_read_only(path)


def _bind_back(cover: str, kept: Mapping[str, int]) -> None:
    for path, handle in kept.items():
        if Path(path).is_relative_to(cover) and path != cover:
            Path(path).mkdir(parents=True, exist_ok=True)
            _bind(handle, path, read_only=True)
