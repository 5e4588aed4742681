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
from colonnade.cli.terminal import NOT_RUNNING, USAGE, CommandError, print_json
from colonnade.settings import Settings
from colonnade.supervisor import folder


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", default="colonnade", help="the profile's name (colonnade)")
    server.add_folder(parser)
    parser.add_argument("--json", action="store_true", help="for machines")


def run(arguments: argparse.Namespace) -> int:
    profile = arguments.profile
    if not re.fullmatch(r"[\w.@+-]+", profile):
        raise CommandError(f"{profile!r} cannot name a profile: use letters, digits and . _ - @ +", USAGE)
    chosen = server.chosen(arguments)
    url, region = _address(chosen)
    pair = credentials.read(chosen.data)
    config, secrets = aws_profile.config_file(os.environ), aws_profile.credentials_file(os.environ)
    changed = _put(
        config, aws_profile.config_section(profile), {"region": region, "endpoint_url": url}, mode=0o666
    )
    keys = {"aws_access_key_id": pair.access_key_id, "aws_secret_access_key": pair.secret_access_key}
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
    return f"http://{folder.reachable(chosen.host)}:{chosen.port}", chosen.region


def _put(path: Path, section: str, values: dict[str, str], mode: int) -> bool:
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return aws_profile.write(path, aws_profile.set_values(text, section, values), mode)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            f"{path} cannot be edited: {error}: correct it, or name another by {_variable(path)}"
        ) from error


def _variable(path: Path) -> str:
    return "AWS_CONFIG_FILE" if path == aws_profile.config_file(os.environ) else "AWS_SHARED_CREDENTIALS_FILE"
