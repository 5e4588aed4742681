"""The root credentials: the first pair of keys, kept as `credentials.json` in the data folder, for its owner only.

The supervisor settles them before anything else starts; gateway workers, `configure` and `status` read them. Keys given
in the settings replace the kept ones.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from colonnade.credentials import private_file
from colonnade.settings import Settings

FILE = "credentials.json"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class CredentialsError(Exception):
    """The kept credentials cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class RootCredentials:
    access_key_id: str
    secret_access_key: str = field(repr=False)


def settle(settings: Settings) -> RootCredentials:
    """The pair that holds from now on, written durably if it is not there yet. Needs the data folder, and its lock."""
    path = settings.data / FILE
    if settings.root_access_key_id and settings.root_secret_access_key:
        given = RootCredentials(settings.root_access_key_id, settings.root_secret_access_key)
        if not path.exists() or read(settings.data) != given:
            _write(path, given)
        return given
    if not path.exists():
        _write(path, make())
    return read(settings.data)


def read(data: Path) -> RootCredentials:
    """Raises CredentialsError when there are none, or others could have read them."""
    path = data / FILE
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            kept = json.load(file)
        pair = RootCredentials(kept["access_key_id"], kept["secret_access_key"])
    except FileNotFoundError:
        raise CredentialsError(f"{path} does not exist: it is made by the first `colonnade up`") from None
    except PermissionError:
        raise CredentialsError(
            f"{path} is another user's: run this as the user who started the server"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise CredentialsError(
            f"{path} is damaged ({error}): restore it, or remove it to have new root keys at the next start"
        ) from None
    if mode & 0o077:
        raise CredentialsError(
            f"{path} has mode {mode:04o}, so that others can read it: run `chmod 600 {path}`"
        )
    return pair


def make() -> RootCredentials:
    """AWS's form: 20 and 40 characters."""
    return RootCredentials(
        "AKIA" + "".join(secrets.choice(_LETTERS) for _ in range(16)), secrets.token_urlsafe(30)
    )


def _write(path: Path, pair: RootCredentials) -> None:
    text = json.dumps({"access_key_id": pair.access_key_id, "secret_access_key": pair.secret_access_key})
    private_file.write(path, text.encode())
