"""The master key: 32 random bytes under which KMS keeps its keys, and S3 those of its own encryption.

The supervisor settles it before anything else starts, as `master.key` in the data folder or where `master_key_file` says, for its
owner only. Its fingerprint stays in the data folder: a start with another key, or none, is refused instead of beginning a
new life in which nothing of the old one can be read.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from colonnade.credentials import CredentialsError, private_file
from colonnade.settings import Settings

FILE = "master.key"
FINGERPRINT = "master-key.fingerprint"
_SIZE = 32


def place(settings: Settings) -> Path:
    return settings.master_key_file or settings.data / FILE


def settle(settings: Settings) -> None:
    """Make it, at the first start; else see that it is the one. Needs the data folder, and its lock."""
    path, known = place(settings), settings.data / FINGERPRINT
    if not path.exists():
        if known.exists():
            raise CredentialsError(
                f"the master key {path} is missing: put it back from where you keep it. Without it, no encrypted object and no "
                f"KMS key can be read; to give them all up and begin with a new one, remove {known}"
            )
        if not path.parent.is_dir():
            raise CredentialsError(f"{path.parent} does not exist: make it, or correct master_key_file")
        private_file.write(path, secrets.token_hex(_SIZE).encode() + b"\n")
    fingerprint = _fingerprint(read(settings))
    if not known.exists():
        private_file.write(known, fingerprint.encode() + b"\n")
    elif not hmac.compare_digest(known.read_text(encoding="utf-8").strip(), fingerprint):
        raise CredentialsError(
            f"{path} is not the master key of {settings.data}: its fingerprint differs from {known}"
        )


def read(settings: Settings) -> bytes:
    """Raises CredentialsError when there is none, or others could have read it."""
    path = place(settings)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            key = binascii.unhexlify(file.read().strip())
    except FileNotFoundError:
        raise CredentialsError(f"{path} does not exist: it is made by the first `colonnade up`") from None
    except PermissionError:
        raise CredentialsError(
            f"{path} is another user's: run this as the user who started the server"
        ) from None
    except ValueError:
        raise CredentialsError(f"{path} is damaged: restore it from where you keep it") from None
    if len(key) != _SIZE:
        raise CredentialsError(
            f"{path} holds {len(key)} bytes, not {_SIZE}: restore it from where you keep it"
        )
    if mode & 0o077:
        raise CredentialsError(
            f"{path} has mode {mode:04o}, so that others can read it: run `chmod 600 {path}`"
        )
    return key


def _fingerprint(key: bytes) -> str:
    return hmac.new(key, b"colonnade master key fingerprint", hashlib.sha256).hexdigest()
