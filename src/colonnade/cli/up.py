"""`colonnade up`: the server, in front or in the background, kept or ephemeral."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NoReturn

from colonnade import credentials, supervisor
from colonnade.cli import background, process_log, server
from colonnade.cli.terminal import USAGE, CommandError, styled
from colonnade.credentials import master_key
from colonnade.settings import Settings, default_data
from colonnade.supervisor import folder, listening
from colonnade.supervisor.folder import ServerRecord
from colonnade.supervisor.health import wait_until_healthy

Announce = Callable[[ServerRecord], None]


def add(parser: argparse.ArgumentParser) -> None:
    server.add_folder(parser)
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", metavar="N", help="port to listen on (4566); 0 takes a free one")
    parser.add_argument("--workers", metavar="N", help="gateway processes (the cores, at most 2)")
    parser.add_argument(
        "--detach", action="store_true", help="return once it is ready; it logs to DATA/server.log"
    )
    parser.add_argument(
        "--ephemeral",
        action="store_true",
        default=None,
        help="for test suites: one process, nothing kept, roles and names not checked for existence",
    )
    parser.add_argument(
        "--clock", help="system, or manual: time moves by POST /_colonnade/clock; with --ephemeral"
    )
    parser.add_argument("--account-id", metavar="ID", help="twelve digits (123456789012)")
    parser.add_argument("--region", help="region of the profile, and of requests that name none (us-east-1)")
    parser.add_argument("--executor", metavar="NAME", help="what runs jobs and replicas (process)")
    parser.add_argument(
        "--isolation", help="auto, namespace or plain: whether jobs are kept from the server's files"
    )
    parser.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error (info)")
    parser.add_argument("--log-format", metavar="FORM", help="text or json (text)")
    parser.add_argument("--json", action="store_true", help="say that it is ready as one line of JSON")


def run(arguments: argparse.Namespace) -> int:
    chosen = server.chosen(arguments)
    if chosen.ephemeral and arguments.data:
        raise CommandError(
            "--ephemeral keeps nothing, so --data has no meaning with it: leave one of them out", USAGE
        )
    tell = _tell_json if arguments.json else _tell
    serve = _serve_alone if chosen.ephemeral else _serve
    if arguments.detach:
        return background.start(chosen, lambda announce: serve(chosen, announce), tell)
    return serve(chosen, lambda record: tell(record, detached=False))


def _serve(chosen: Settings, announce: Announce) -> int:
    process_log.configure(chosen, "supervisor")
    return supervisor.run(chosen, announce)


def _serve_alone(chosen: Settings, announce: Announce) -> int:
    """Everything in this one process, in a folder that goes when it ends."""
    process_log.configure(chosen, "colonnade")
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, _end)
    with TemporaryDirectory(prefix="colonnade-") as made, folder.locked(Path(made)):
        alone = replace(chosen, data=Path(made), master_key_file=None)
        credentials.settle(alone)
        master_key.settle(alone)
        listener = listening.listen(chosen.host, chosen.port)
        bound = replace(alone, port=listener.getsockname()[1])
        _announce_when_ready(bound, announce)
        from colonnade import app

        app.run_single(bound, listener.detach())
    return 0


def _end(signum: int, frame: FrameType | None) -> NoReturn:
    """Unwinds the stack, so that the folder is removed, wherever SIGTERM finds us."""
    sys.exit(0)


def _announce_when_ready(bound: Settings, announce: Announce) -> None:
    def watch() -> None:
        if wait_until_healthy(bound.host, bound.port, supervisor.START_SECONDS):
            record = replace(ServerRecord.of(bound), processes={"colonnade": os.getpid()})
            folder.write(bound.data, record)
            announce(record)

    threading.Thread(target=watch, name="health", daemon=True).start()


def _tell_json(record: ServerRecord, *, detached: bool) -> None:
    import json

    print(json.dumps({"ready": True, "url": record.url, "detached": detached, **asdict(record)}), flush=True)


def _tell(record: ServerRecord, *, detached: bool) -> None:
    """What a person needs next, and no more."""
    elsewhere = "" if Path(record.data) == default_data(os.environ) else f" --data {record.data}"
    lines = [f"{styled('Colonnade is ready', '1;32', sys.stdout)} at {record.url}, data in {record.data}"]
    if record.ephemeral:
        lines.append("Nothing is kept. Point AWS clients at it with:")
        lines += [f"  export {name}={value}" for name, value in _variables(record).items()]
    else:
        lines.append(f"Make the AWS profile, once:  colonnade configure{elsewhere}")
        lines.append("Then, with any AWS client:   AWS_PROFILE=colonnade python your_script.py")
    lines.append(
        f"Stop it with:                colonnade down{elsewhere}" if detached else "Stop it with ctrl-C."
    )
    print("\n".join(lines), flush=True)


def _variables(record: ServerRecord) -> dict[str, str]:
    pair = credentials.read(record.data_folder)
    return {
        "AWS_ENDPOINT_URL": record.url,
        "AWS_ACCESS_KEY_ID": pair.access_key_id,
        "AWS_SECRET_ACCESS_KEY": pair.secret_access_key,
        "AWS_DEFAULT_REGION": record.region,
    }
