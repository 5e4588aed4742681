"""The platform's own times, as a user meets them: start-up, a job's first line, an endpoint in service, lists of 100,000 jobs."""

from __future__ import annotations

import io
import statistics
import tarfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from memory import pss_mib
from replay import Keys, control, rate, signed

from colonnade.kernel.store import Scope
from colonnade.kernel.store.sqlite import SqliteStore
from colonnade.testing.server import Server, running
from journeys.team import SCIKIT_LEARN, Team

JOBS = 100_000
DEEP = 1000
"""The page far behind, of a hundred jobs each."""
RARE = 2000
"""One job in so many has failed."""
SCRIPT = "import time\nprint(f'first-line {time.time():.6f}', flush=True)\n"


def start_up(folder: Path, repeat: int) -> dict[str, Any]:
    """Seconds from the command to the line that says that it is ready, and PSS of all its processes two seconds later."""
    kinds = {
        "ephemeral": ("--ephemeral",),
        "up_1_worker": ("--workers", "1"),
        "up_2_workers": ("--workers", "2"),
    }
    found: dict[str, Any] = {}
    for kind, flags in kinds.items():
        seconds, mib = [], []
        for number in range(repeat):
            began = time.perf_counter()
            with running(folder / f"{kind}-{number}", *flags) as server:
                seconds.append(time.perf_counter() - began)
                time.sleep(2)  # idle is what it is when start-up is over
                mib.append(pss_mib(server.process.pid))
        found[kind] = {
            "seconds_best": round(min(seconds), 3),
            "seconds_median": round(statistics.median(seconds), 3),
            "idle_pss_mib": round(statistics.median(mib), 1),
        }
    return found


def lifecycle(server: Server, team: Team) -> dict[str, Any]:
    """Cold is the first of its kind on this server; cached has a compiled model and a warm runtime."""
    team.put("code/sourcedir.tar.gz", _sources())
    first_lines = [_first_line(server, team) for _ in range(3)]
    job = team.train()
    assert team.ended(job)["TrainingJobStatus"] == "Completed"
    in_service = []
    for _ in range(3):
        began = time.perf_counter()
        endpoint = team.deploy(team.model(job))
        in_service.append(time.perf_counter() - began)
    invoke = signed(
        keys_of(server),
        "sagemaker",
        "POST",
        f"/endpoints/{endpoint}/invocations",
        b"0.5,0.25",
        {"Content-Type": "text/csv"},
    )
    return {
        "first_line_cold_s": round(first_lines[0], 3),
        "first_line_s": round(min(first_lines[1:]), 3),
        "in_service_cold_s": round(in_service[0], 3),
        "in_service_cached_s": round(min(in_service[1:]), 3),
        "invoke_c1": rate(server.url, [invoke], seconds=2).told(),
        "invoke_c8": rate(server.url, [invoke], seconds=2, connections=8).told(),
        "describe_endpoint_c1": _control(server, 1, "DescribeEndpoint", {"EndpointName": endpoint}),
        "describe_endpoint_c8": _control(server, 8, "DescribeEndpoint", {"EndpointName": endpoint}),
    }


def many_jobs(server: Server) -> dict[str, Any]:
    """Lists over jobs that are put into the server's store directly, as copies of one that ran."""
    began = time.perf_counter()
    _copy_job(server.data / "store.db", JOBS)
    loaded = time.perf_counter() - began
    sagemaker = server.client("sagemaker")
    (first,) = sagemaker.list_training_jobs(MaxResults=1, SortOrder="Ascending")["TrainingJobSummaries"]
    begin, deep = first["CreationTime"].timestamp(), ""
    for _ in range(DEEP - 1):
        page = sagemaker.list_training_jobs(MaxResults=100, **({"NextToken": deep} if deep else {}))
        deep = page["NextToken"]
    asked = {
        "newest_100": {"MaxResults": 100},
        f"page_{DEEP}": {"MaxResults": 100, "NextToken": deep},
        "by_status": {"MaxResults": 100, "StatusEquals": "Completed"},
        "by_rare_status": {"MaxResults": 100, "StatusEquals": "Failed"},
        "by_name": {"MaxResults": 100, "SortBy": "Name", "SortOrder": "Ascending"},
        "name_contains": {"MaxResults": 100, "NameContains": "copy-099"},
        "name_contains_nowhere": {"MaxResults": 100, "NameContains": "no-such-job"},
        "name_contains_by_name": {"MaxResults": 100, "NameContains": "99", "SortBy": "Name"},
        "created_before": {"MaxResults": 100, "CreationTimeBefore": begin + 1000, "SortBy": "Status"},
    }
    found: dict[str, Any] = {"jobs": JOBS, "loading_s": round(loaded, 1)}
    for name, parameters in asked.items():
        found[f"list_{name}"] = _control(server, 1, "ListTrainingJobs", parameters)
    return found


def keys_of(server: Server) -> Keys:
    return Keys(server.url, server.region, server.access_key_id, server.secret_access_key)


def _control(server: Server, connections: int, operation: str, parameters: Any) -> dict[str, float]:
    request = control(keys_of(server), operation, parameters)
    return rate(server.url, [request], seconds=2, connections=connections).told()


def _first_line(server: Server, team: Team) -> float:
    hyperparameters = {
        "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": '"s3://journeys/code/sourcedir.tar.gz"',
    }
    algorithm = {"TrainingImage": SCIKIT_LEARN, "TrainingInputMode": "File"}
    began = time.time()
    job = team.train(AlgorithmSpecification=algorithm, HyperParameters=hyperparameters)
    ended = team.ended(job)
    assert ended["TrainingJobStatus"] == "Completed", ended.get("FailureReason")
    line = next(line for line in team.log(job).splitlines() if "first-line" in line)
    return float(line.split()[-1]) - began


def _sources() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("train.py")
        member.size = len(SCRIPT)
        archive.addfile(member, io.BytesIO(SCRIPT.encode()))
    return packed.getvalue()


def _copy_job(database: Path, count: int) -> None:
    with closing(SqliteStore(database)) as store:
        with store.read() as reader:
            row = reader.scan_types("sagemaker", "TrainingJob")[0]
        scope: Scope = row.key.scope
        for first in range(0, count, 2000):
            with store.write() as transaction:
                for number in range(first, min(first + 2000, count)):
                    name = f"copy-{number:06d}"
                    arn = row.document["TrainingJobArn"].rpartition("/")[0] + f"/{name}"
                    status = row.status if number % RARE else "Failed"
                    document = {**row.document, "TrainingJobName": name, "TrainingJobArn": arn}
                    document["TrainingJobStatus"] = status
                    transaction.put(scope.key(name), document, at=row.created + number, status=status)
