"""`colonnade configure`: the one step between a running server and unchanged AWS clients."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

from colonnade import credentials
from colonnade.cli import aws_profile, server
from colonnade.cli.client import ApiError
from colonnade.cli.terminal import NOT_RUNNING, USAGE, CommandError, print_json
from colonnade.settings import Settings
from colonnade.supervisor import folder

_IAM = "2010-05-08"
"""Of IAM's API, which has had one version."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", default="colonnade", help="the profile's name (colonnade)")
    parser.add_argument(
        "--user", metavar="NAME", help="an IAM user, who gets an access key; without it, root"
    )
    server.add_folder(parser)
    parser.add_argument("--json", action="store_true", help="for machines")


def run(arguments: argparse.Namespace) -> int:
    profile = arguments.profile
    if not re.fullmatch(r"[\w.@+-]+", profile):
        raise CommandError(f"{profile!r} cannot name a profile: use letters, digits and . _ - @ +", USAGE)
    chosen = server.chosen(arguments)
    url, region = _address(chosen)
    config, secrets = aws_profile.config_file(os.environ), aws_profile.credentials_file(os.environ)
    if arguments.user:
        keys = _keys_of(arguments.user, chosen, profile, secrets)
    else:
        root = credentials.read(chosen.data)
        keys = {"aws_access_key_id": root.access_key_id, "aws_secret_access_key": root.secret_access_key}
    changed = _put(
        config, aws_profile.config_section(profile), {"region": region, "endpoint_url": url}, mode=0o666
    )
    changed |= _put(secrets, profile, keys, mode=0o600)
    if arguments.json:
        files = {"config": str(config), "credentials": str(secrets)}
        print_json({"profile": profile, "endpoint_url": url, "region": region, "changed": changed, **files})
    else:
        done = "is written to" if changed else "was already in"
        print(f"profile {profile} {done} {config} and {secrets}: {url}, {region}")
        print(f"use it: AWS_PROFILE={profile} python your_script.py")
        _warn_of_proxy(url)
    return 0


def _warn_of_proxy(url: str) -> None:
    """AWS clients ask a proxy for our address too, unless told not to."""
    from urllib.request import getproxies, proxy_bypass

    host = urlsplit(url).hostname or ""
    if "http" in getproxies() and not proxy_bypass(host):
        print(
            f"note: http_proxy is set, and clients would look for {host} behind it: add {host} to NO_PROXY",
            file=sys.stderr,
        )


def _address(chosen: Settings) -> tuple[str, str]:
    """The running server's; else that of the settings, once there has been a server."""
    record = folder.running(chosen.data)
    if record:
        return record.url, record.region
    if not (chosen.data / credentials.FILE).exists():
        raise CommandError(
            f"there has been no server in {chosen.data}: start one with `colonnade up`, or name its folder with --data",
            NOT_RUNNING,
        )
    return chosen.url, chosen.region


def _keys_of(user: str, chosen: Settings, profile: str, secrets: Path) -> dict[str, str]:
    """A new access key of the user's; the one in the profile, if it is the user's already."""
    client = server.client(server.find(chosen))
    try:
        listed = client.query("iam", "ListAccessKeys", _IAM, UserName=user)
    except ApiError as error:
        if error.error != "NoSuchEntity":
            raise
        raise CommandError(
            f"there is no user {user!r}: make it with `aws iam create-user --user-name {user}`"
        ) from None
    present = aws_profile.value(_text(secrets), profile, "aws_access_key_id")
    if present in listed.get("AccessKeyId", ()):
        return {}
    made = client.query("iam", "CreateAccessKey", _IAM, UserName=user)
    return {
        "aws_access_key_id": made["AccessKeyId"][0],
        "aws_secret_access_key": made["SecretAccessKey"][0],
    }


def _put(path: Path, section: str, values: dict[str, str], mode: int) -> bool:
    try:
        return aws_profile.write(path, aws_profile.set_values(_text(path), section, values), mode)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            f"{path} cannot be edited: {error}: correct it, or name another by {_variable(path)}"
        ) from error


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _variable(path: Path) -> str:
    return "AWS_CONFIG_FILE" if path == aws_profile.config_file(os.environ) else "AWS_SHARED_CREDENTIALS_FILE"
