"""`colonnade logs`: CloudWatch Logs of a job or an endpoint, found by its name."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any

from colonnade.cli import server
from colonnade.cli.client import ApiError, Client
from colonnade.cli.terminal import FAILED, CommandError

_POLL_SECONDS = 0.5
_GROUPS = {
    "training": "/aws/sagemaker/TrainingJobs",
    "processing": "/aws/sagemaker/ProcessingJobs",
    "transform": "/aws/sagemaker/TransformJobs",
    "endpoint": "/aws/sagemaker/Endpoints/{name}",
}
_NOUNS = {"training": "TrainingJob", "processing": "ProcessingJob", "transform": "TransformJob"}
_ENDED = ("Completed", "Failed", "Stopped")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", help="of a training, processing or transform job, or an endpoint"
    )
    parser.add_argument("--kind", choices=[*_GROUPS], help="what NAME is; without it, the first that exists")
    parser.add_argument(
        "--follow", action="store_true", help="go on until the job ends; exit code 1 when it failed"
    )
    server.add_folder(parser)


def run(arguments: argparse.Namespace) -> int:
    client = server.client(server.find(server.chosen(arguments)))
    kind, job = _find(client, arguments.name, arguments.kind)
    reader = _Reader(client, kind, arguments.name)
    printed = reader.print_new()
    if not printed and not arguments.follow:
        print(f"{arguments.name} has logged nothing so far", file=sys.stderr)
    while arguments.follow and job.get("status") not in _ENDED:
        job = _describe(client, kind, arguments.name) or job
        reader.print_new()
        if job.get("status") not in _ENDED:
            time.sleep(_POLL_SECONDS)
    if arguments.follow and job["status"] == "Failed":
        raise CommandError(f"{arguments.name} failed: {job['reason']}", FAILED)
    return 0


def _find(client: Client, name: str, kind: str | None) -> tuple[str, dict[str, str]]:
    for each in [kind] if kind else _GROUPS:
        if described := _describe(client, each, name):
            return each, described
    jobs = kind or "training, processing or transform"
    what = kind if kind == "endpoint" else f"{jobs} job" + ("" if kind else " or endpoint")
    raise CommandError(f"there is no {what} named {name!r}: `colonnade status` lists what runs")


def _describe(client: Client, kind: str, name: str) -> dict[str, str] | None:
    noun = _NOUNS.get(kind, "Endpoint")
    try:
        found = client.call("sagemaker", f"Describe{noun}", {f"{noun}Name": name})
    except ApiError as error:
        if error.status == 501 or error.error in ("ResourceNotFound", "ValidationException"):
            return None
        raise
    return {"status": found[f"{noun}Status"], "reason": found.get("FailureReason", "no reason was recorded")}


class _Reader:
    """Prints each event once, stream by stream, and remembers where each stream stands."""

    def __init__(self, client: Client, kind: str, name: str) -> None:
        self._client = client
        self._group = _GROUPS[kind].format(name=name)
        self._prefix = "" if kind == "endpoint" else f"{name}/"
        self._tokens: dict[str, str] = {}

    def print_new(self) -> int:
        """How many events there were."""
        streams = self._streams()
        printed = 0
        for stream in streams:
            for event in self._events(stream):
                label = f"{stream.removeprefix(self._prefix)}  " if len(streams) > 1 else ""
                print(f"{label}{event['message']}")
                printed += 1
        sys.stdout.flush()
        return printed

    def _streams(self) -> list[str]:
        parameters = {"logGroupName": self._group}
        if self._prefix:
            parameters["logStreamNamePrefix"] = self._prefix
        try:
            found = self._client.pages("logs", "DescribeLogStreams", parameters, "logStreams", "nextToken")
            return [each["logStreamName"] for each in found]
        except ApiError as error:
            if error.error == "ResourceNotFoundException":
                return []
            raise

    def _events(self, stream: str) -> Iterator[dict[str, Any]]:
        """The end is where the token stays the same."""
        while True:
            where = {"logGroupName": self._group, "logStreamName": stream, "startFromHead": True}
            if stream in self._tokens:
                where["nextToken"] = self._tokens[stream]
            page = self._client.call("logs", "GetLogEvents", where)
            yield from page.get("events", ())
            if page["nextForwardToken"] == self._tokens.get(stream):
                return
            self._tokens[stream] = page["nextForwardToken"]
