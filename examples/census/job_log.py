"""Print a training job's log while it runs, as CloudWatch Logs hands it out."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
SECONDS_BETWEEN_LOOKS = 1.0


@contextmanager
def followed(logs: Any, job: str) -> Iterator[None]:
    """While the block runs, and once more when it ends, print what the job's log streams have got."""
    finished = threading.Event()
    with ThreadPoolExecutor(1) as followers:
        following = followers.submit(_follow, logs, job, finished)
        try:
            yield
        finally:
            finished.set()
        following.result()  # What went wrong there must not be lost here.


def _follow(logs: Any, job: str, finished: threading.Event) -> None:
    places: dict[str, str] = {}
    while not finished.wait(SECONDS_BETWEEN_LOOKS):
        _print_new(logs, job, places)
    _print_new(logs, job, places)


def _print_new(logs: Any, job: str, places: dict[str, str]) -> None:
    """`places` remembers per stream the token of what follows what was printed."""
    try:
        streams = logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{job}/")[
            "logStreams"
        ]
    except logs.exceptions.ResourceNotFoundException:
        return  # No training job of this account has written a line yet.
    for stream in streams:
        name = stream["logStreamName"]
        while True:
            position = {"nextToken": places[name]} if name in places else {}
            page = logs.get_log_events(
                logGroupName=LOG_GROUP, logStreamName=name, startFromHead=True, **position
            )
            for event in page["events"]:
                print(f"    {event['message']}", flush=True)
            # The end of a stream answers with the token that it was asked with.
            if page["nextForwardToken"] == places.get(name):
                break
            places[name] = page["nextForwardToken"]
