"""What must hold after a restart, whatever was killed: asked over the wire, read in the store, and seen on the machine."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from colonnade.cloud.s3 import orphans
from colonnade.cloud.s3.index import objects, record
from colonnade.kernel.clock import SystemClock
from colonnade.kernel.ids import RandomIds
from colonnade.kernel.platform import Platform
from colonnade.kernel.signals import LocalSignals
from colonnade.kernel.store import Reader, Stored, each
from colonnade.kernel.store.sqlite import SqliteStore
from colonnade.objects import ObjectStore
from colonnade.objects.filesystem import FilesystemObjects
from crash.killing import processes
from crash.world import LINES, LOST, World, digest
from journeys.team import BUCKET, wait_for

ENDED = ("Completed", "Failed", "Stopped")


def objects_are_whole(world: World) -> None:
    """Each key is what was acknowledged last, or what was being asked for as the server died; and nothing in between."""
    s3 = world.server.client("s3")
    ledger = world.ledger
    for key in sorted({*ledger.acknowledged, *ledger.in_flight}):
        found: str | None = None
        with suppress(s3.exceptions.NoSuchKey):
            found = digest(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        assert found in ledger.may_be(key), f"{key} is {found}, acknowledged was {ledger.may_be(key)}"
        ledger.acknowledged[key] = found
    ledger.in_flight.clear()


def jobs_end_honestly(world: World, killed: set[str]) -> dict[str, str]:
    """What was not touched completes with each line of its log once; what lost its runner says so or had ended before."""
    sagemaker = world.server.client("sagemaker")
    known = {job["TrainingJobName"] for job in _jobs(sagemaker)}
    assert set(world.ledger.jobs) <= known, "an acknowledged job is gone"
    mine = [name for name in (*world.ledger.jobs, *world.ledger.perhaps) if name in known]
    ends = {}
    for name in mine:
        end = world.team.ended(name)
        ends[name] = end["TrainingJobStatus"]
        if any(name in work for work in killed) and ends[name] == "Failed":
            # The latter when the runner had not come to write anything down.
            assert re.search("was killed|is gone from its executor", end["FailureReason"]), end[
                "FailureReason"
            ]
            continue
        assert ends[name] == "Completed", (name, end.get("FailureReason"))
        log = world.team.log(name).splitlines()
        assert len([line for line in log if line.startswith("begun")]) == 1, log
        numbers = [int(line.split()[1]) for line in log if re.fullmatch(r"line \d+", line)]
        assert numbers == list(range(LINES)), log
        assert log.count("ended") == 1, log
    world.ledger.jobs.clear()
    world.ledger.perhaps.clear()
    return ends


def endpoints_serve_again(world: World) -> None:
    for endpoint, ask in (
        (world.compiled, world.ask_compiled),
        (world.scripted, world.ask_scripted),
    ):

        def answers(ask: object = ask) -> bool:
            try:
                return bool(ask()[0])  # type: ignore[operator]
            except LOST:
                return False

        wait_for(answers, bool)
        world.team.in_service(endpoint)
    assert world.ledger.wrong == []


def nothing_is_stuck(world: World) -> None:
    """Ended jobs have no work and no reconciler's attention any more; what the executor has is an endpoint's."""
    data = world.server.data
    with closing(SqliteStore(data / "store.db")) as store:

        def restless() -> list[str]:
            with store.read() as reader:
                jobs = reader.scan_types("sagemaker", "TrainingJob")
                wanted = set(_replicas(reader.scan_types("sagemaker", "Endpoint")))
            on_disk = {path.name for path in (data / "work" / "works").iterdir()}
            alive = {each.work for each in processes(data) if each.runner}
            return [
                *(
                    f"job {row.key.name} is {row.status}"
                    for row in jobs
                    if row.active or row.status not in ENDED
                ),
                *(f"work {work} is nobody's" for work in on_disk - wanted),
                *(f"replica {work} does not run" for work in wanted - alive),
            ]

        wait_for(restless, lambda found: not found)


def every_process_belongs_to_somebody(world: World) -> None:
    server = world.server

    def strays() -> list[str]:
        ours = {server.process.pid, *server.pids().values()}
        works = {path.name for path in (server.data / "work" / "works").iterdir()}
        return [
            each.text
            for each in processes(server.data)
            if each.work not in works and each.pid not in ours and not _is_child_of(each.pid, ours)
        ]

    wait_for(strays, lambda found: not found)


def no_blob_is_orphaned(world: World) -> None:
    """After sweeping, as the leader does each hour, what lies on disk is exactly what the index names."""
    data = world.server.data
    with closing(SqliteStore(data / "store.db")) as store:
        platform = Platform(store=store, clock=SystemClock(), ids=RandomIds(), signals=LocalSignals())
        platform.provide(ObjectStore, FilesystemObjects(data / "objects"))
        # Nobody uploads now, so that the grace for uploads under way is not needed.
        orphans.sweep(platform, now=time.time() + 2 * 3600)
        on_disk = {path.name for path in (data / "objects").glob("*/*")}
        with store.read() as reader:
            assert on_disk == set(orphans.named_blobs(reader))
            named = _contents(reader)
        with closing(sqlite3.connect(data / "store.db")) as database:
            assert {id for (id,) in database.execute("SELECT id FROM contents")} == named


def _contents(reader: Reader) -> set[int]:
    """The numbers of small objects' bytes."""
    buckets = [row.key for row in reader.scan_types("s3", "bucket")]
    rows = [row for key in buckets for row in each(reader, objects(key.partition, key.name))]
    return {record(row).content for row in rows} - {0}


def _jobs(sagemaker: object) -> Iterator[dict[str, str]]:
    for page in sagemaker.get_paginator("list_training_jobs").paginate():  # type: ignore[attr-defined]
        yield from page["TrainingJobSummaries"]


def _replicas(endpoints: object) -> Iterator[str]:
    row: Stored
    for row in endpoints:  # type: ignore[attr-defined]
        for slot, state in row.document.get("_replicas", {}).items():
            yield f"endpoint-{row.document['_id']}-{slot}-{state['attempt']}"


def _is_child_of(pid: int, parents: set[int | None]) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return True  # gone meanwhile
    return int(fields[1]) in parents
