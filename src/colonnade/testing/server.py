"""A real server for tests: `colonnade up` as a process of its own, on a free port, in a folder of the test's.

with running(tmp_path) as server:
    server.client("s3").create_bucket(Bucket="b")
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.request import Request, urlopen

from colonnade import credentials

_STOP_SECONDS = 60
_making = threading.Lock()


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    region: str
    access_key_id: str
    secret_access_key: str
    data: Path
    process: subprocess.Popen[str]

    def environment(self) -> dict[str, str]:
        """What points any AWS client here, and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client as root, or as whom the given keys say."""
        chosen: dict[str, Any] = {
            "endpoint_url": self.url,
            "region_name": self.region,
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
        }
        with _making:
            return _session().client(service, **chosen | options)

    def reset(self) -> None:
        """Nothing is left in it when this returns. For `--ephemeral` only."""
        self.own("POST", "reset")

    def advance(self, seconds: float) -> float:
        """Move its clock, if it runs with `--clock manual`; answers the new time."""
        now: float = self.own("POST", "clock", {"advance": seconds})["now"]
        return now

    def own(self, method: str, path: str, body: Any = None) -> Any:
        """One of the server's own paths, `/_colonnade/<path>`. Raises urllib's HTTPError for a refusal."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/_colonnade/{path}", data=data, method=method)
        with urlopen(request, timeout=_STOP_SECONDS) as answer:
            return json.load(answer)

    def pids(self) -> Mapping[str, int | None]:
        """The server's processes by name: supervisor's children, as `run/server.json` tells."""
        found: Mapping[str, int | None] = json.loads((self.data / "run" / "server.json").read_text())[
            "processes"
        ]
        return found

    def kill(self) -> None:
        """kill -9 of the supervisor; its children die with it."""
        self.process.kill()
        self.process.wait(_STOP_SECONDS)

    def stop(self) -> int:
        """SIGTERM, as `colonnade down` does; answers the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_STOP_SECONDS)


@cache
def _session() -> Any:
    """One for all, since each reads AWS's models anew; making clients of it is not thread-safe, using them is."""
    import boto3

    return boto3.session.Session()


@contextmanager
def running(data: Path, *flags: str, variables: Mapping[str, str] = MappingProxyType({})) -> Iterator[Server]:
    """`colonnade up` on `data`, stopped at the end if it still runs. `flags` go to `up`; with `--ephemeral` the folder
    is the server's own and `data` only keeps its log. `variables` are its COLONNADE_*: those around it do not count."""
    data.mkdir(parents=True, exist_ok=True)
    where = [] if "--ephemeral" in flags else ["--data", str(data)]
    command = [sys.executable, "-m", "colonnade", "up", "--port", "0", "--json", *where, *flags]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("COLONNADE_", "AWS_"))
    } | dict(variables)
    log = data.parent / f"{data.name}.log"
    with log.open("a") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
    try:
        yield _ready(process, log)
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()


def _ready(process: subprocess.Popen[str], log: Path) -> Server:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(
            f"the server did not start, exit code {process.wait()}:\n{log.read_text()[-4000:]}"
        )
    told = json.loads(line)
    data = Path(told["data"])
    pair = credentials.read(data)
    return Server(told["url"], told["region"], pair.access_key_id, pair.secret_access_key, data, process)
