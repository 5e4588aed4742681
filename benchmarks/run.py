"""`make bench`: what a user waits for, and S3 beside SeaweedFS on the same machine, in some minutes.

    python benchmarks/run.py [--quick] [--without-peers]

Prints a table, ratios first, and writes it with all figures to benchmarks/results/ as .md and .json. Figures of two machines, or
of a busy one, say nothing about each other; the ratios mean more.
"""

from __future__ import annotations

import argparse
import json
import os
import platform as machine
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent
# The journeys' team does in tests what it does here; peers and the rest lie beside this file.
sys.path[:0] = [str(TOP / "tests"), str(TOP / "benchmarks")]

import cold_start  # noqa: E402
import peers  # noqa: E402
import platform_times  # noqa: E402
import transform  # noqa: E402
from memory import pss_mib  # noqa: E402

import colonnade  # noqa: E402
from colonnade.testing.server import running  # noqa: E402
from journeys.team import Team  # noqa: E402
from objects import figures  # noqa: E402

RESULTS = TOP / "benchmarks" / "results"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument(
        "--quick", action="store_true", help="a tenth of the time, for looking whether it runs"
    )
    arguments.add_argument("--without-peers", action="store_true", help="install and start nothing else")
    options = arguments.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="colonnade-bench-") as folder:
        found = measure(Path(folder), quick=options.quick, with_peers=not options.without_peers)
    found["took_s"] = round(time.monotonic() - began)
    text = report(found)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    name = found["at"].replace(":", "").replace("-", "")[:15]
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n")
    (RESULTS / f"{name}.md").write_text(text + "\n")
    return 0


def measure(folder: Path, *, quick: bool, with_peers: bool) -> dict[str, Any]:
    seconds = 0.3 if quick else 2.0
    found: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": colonnade.__version__,
        "machine": f"{machine.machine()}, {os.cpu_count()} cores, Python {machine.python_version()}",
        "load_before": round(os.getloadavg()[0], 2),
    }
    say("start-up and idle memory")
    found["start_up"] = platform_times.start_up(folder, 1 if quick else 3)
    say("cold starts")
    found["cold_start"] = cold_start.figures(folder, 2 if quick else 5)
    with running(folder / "data") as server:
        say("S3")
        found["s3"] = figures(platform_times.keys_of(server), seconds)
        say("jobs and endpoints")
        team = Team(server).prepare()
        found["lifecycle"] = platform_times.lifecycle(server, team)
        say("batch transform")
        found["transform"] = transform.figures(server, team, transform.ROWS // (10 if quick else 1))
        say(f"lists of {platform_times.JOBS:,} jobs")
        found["many_jobs"] = platform_times.many_jobs(server)
        found["pss_after_mib"] = round(pss_mib(server.process.pid), 1)
    if with_peers:
        say("SeaweedFS")
        found["seaweedfs"] = beside(folder, seconds)
    return found


def beside(folder: Path, seconds: float) -> dict[str, Any]:
    try:
        with peers.seaweedfs(folder / "seaweedfs") as (keys, pid, started):
            time.sleep(2)
            idle = pss_mib(pid)
            return {
                "seconds": round(started, 3),
                "idle_pss_mib": round(idle, 1),
                "s3": figures(keys, seconds),
            }
    except peers.Absent as absent:
        return {"absent": str(absent)}


def report(found: dict[str, Any]) -> str:
    ours, theirs = found["s3"], found.get("seaweedfs", {}).get("s3", {})
    start, cycle, lists = found["start_up"], found["lifecycle"], found["many_jobs"]
    lines = [
        f"# Benchmark, {found['at']}",
        "",
        f"Colonnade {found['version']}, {found['machine']}, load {found['load_before']}",
        "",
    ]
    if theirs:
        lines += [
            "| S3, more is better | Colonnade / SeaweedFS | Colonnade | SeaweedFS |",
            "|---|--:|--:|--:|",
        ]
        lines += [
            f"| {name} | {ours[name] / theirs[name]:.2f} | {ours[name]:,} | {theirs[name]:,} |"
            for name in ours
        ]
        peer = found["seaweedfs"]
        pairs = {
            "start, s": (start["up_1_worker"]["seconds_median"], peer["seconds"]),
            "idle PSS, MiB": (start["up_1_worker"]["idle_pss_mib"], peer["idle_pss_mib"]),
        }
        lines += [
            "",
            "| less is better | Colonnade / SeaweedFS | Colonnade | SeaweedFS |",
            "|---|--:|--:|--:|",
        ]
        lines += [f"| {name} | {a / b:.2f} | {a} | {b} |" for name, (a, b) in pairs.items()]
    else:
        why = found.get("seaweedfs", {}).get("absent", "left out")
        lines += [f"SeaweedFS: {why}", "", "| S3 | Colonnade |", "|---|--:|"]
        lines += [f"| {name} | {value:,} |" for name, value in ours.items()]
    lines += ["", "| start-up | best s | median s | idle PSS MiB |", "|---|--:|--:|--:|"]
    for kind, one in start.items():
        lines.append(f"| {kind} | {one['seconds_best']} | {one['seconds_median']} | {one['idle_pss_mib']} |")
    lines += ["", "| from the call, seconds | |", "|---|--:|"]
    for name in ("first_line_cold_s", "first_line_s", "in_service_cold_s", "in_service_cached_s"):
        lines.append(f"| {name} | {cycle[name]} |")
    lines += ["", "| requests | per second | median ms | p99 ms |", "|---|--:|--:|--:|"]
    for name, one in {**cycle, **lists}.items():
        if isinstance(one, dict):
            lines.append(f"| {name} | {one['per_second']:,} | {one['median_ms']} | {one['p99_ms']} |")
    lines += cold_start.report(found["cold_start"])
    lines += transform.report(found["transform"])
    lines += [
        "",
        f"{lists['jobs']:,} jobs were loaded in {lists['loading_s']} s; the server's PSS was {found['pss_after_mib']} MiB at the end.",
    ]
    return "\n".join(lines)


def say(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
