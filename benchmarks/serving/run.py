"""`make bench-serving`: one prediction a request, Colonnade beside other model servers and beside the least that can be.

    python benchmarks/serving/run.py [--quick] [--only MLServer ...] [--seconds 2] [--repeat 3]

Every server scores one CSV row of census data with the same XGBoost model as ONNX, in the process that answers, pinned to one
core; the load has another. Colonnade is in full dress (see `ours`), the others ask nobody who he is. The floor and Colonnade
are measured again beside each peer, in turns, since rates move with the neighbours of the machine: ratios are of what ran
within the same seconds, and processor time per request barely minds the neighbours at all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform as machine
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import census
import chart
import contenders
import load
import ours
import report
from contenders import FLOOR, PEERS, Absent, Running

RESULTS = contenders.TOP / "benchmarks" / "results"
CONCURRENCY = (1, 8, 32)
SHARES = (0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0)
"""Of the peak, as it is offered."""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="short samples, for looking whether it runs")
    arguments.add_argument("--only", nargs="*", help="peers by name; without names none of them")
    arguments.add_argument("--seconds", type=float, default=2.0, help="of a sample")
    arguments.add_argument("--repeat", type=int, default=3)
    arguments.add_argument(
        "--capture", action="store_true", help="data capture of 1 % on Colonnade's endpoint"
    )
    arguments.add_argument("--keep", type=Path, default=RESULTS, help="folder of the results")
    options = arguments.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("two cores are needed: one for the server, one for the load", file=sys.stderr)
        return 2
    seconds, repeat = (0.5, 1) if options.quick else (options.seconds, options.repeat)
    peers = [peer for peer in PEERS if options.only is None or peer.name in options.only]
    with tempfile.TemporaryDirectory(prefix="colonnade-serving-") as folder:
        found = Measurement(Path(folder), cores, seconds, repeat, capture=options.capture).run(peers)
    text = report.text(found)
    print(text)
    name = f"serving-{found['at'].replace(':', '').replace('-', '')[:15]}"
    options.keep.mkdir(parents=True, exist_ok=True)
    (options.keep / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    (options.keep / f"{name}.md").write_text(f"{text}\n\n![latency against load]({name}.svg)\n")
    (options.keep / f"{name}.svg").write_text(chart.svg(found["curves"]))
    return 0


class Measurement:
    def __init__(
        self, folder: Path, cores: Sequence[int], seconds: float, repeat: int, *, capture: bool
    ) -> None:
        self._folder, self._seconds, self._repeat, self._capture = folder, seconds, repeat, capture
        self._server_core, self._load_core = {cores[0]}, {cores[-1]}
        self._model, self._archive, self._features = census.prepare(folder)
        self._rows = census.rows(500)
        self._all_cores = set(cores)

    def run(self, peers: Sequence[contenders.Contender]) -> dict[str, Any]:
        found: dict[str, Any] = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{machine.machine()}, {os.cpu_count()} cores, Python {machine.python_version()}",
            "load_before": round(os.getloadavg()[0], 2),
            "features": self._features,
            "seconds": self._seconds,
            "capture": self._capture,
            "peers": {},
            "absent": {},
        }
        os.sched_setaffinity(0, self._load_core)
        with ExitStack() as stack:
            floor = stack.enter_context(self._contender(FLOOR))
            full_dress = stack.enter_context(self._ours())
            alone = {"floor": floor, "Colonnade": full_dress}
            say("floor and Colonnade")
            found["alone"] = self._in_turns(alone)
            for peer in peers:
                say(peer.name)
                try:
                    with self._contender(peer) as running:
                        found["peers"][peer.name] = {
                            "what": peer.what,
                            "figures": self._in_turns({**alone, peer.name: running}),
                            "pss_mib": round(running.pss_mib(), 1),
                        }
                except Absent as absent:
                    found["absent"][peer.name] = str(absent)
            found["pss_mib"] = {name: round(one.pss_mib(), 1) for name, one in alone.items()}
            say("load shapes")
            found["curves"] = {name: self._curve(one, found, name) for name, one in alone.items()}
            found["shapes"] = self._shapes(full_dress, found["curves"]["Colonnade"])
        say("two workers")
        found["two_workers"] = self._two_workers(peers)
        return found

    def _contender(self, contender: contenders.Contender, workers: int = 1) -> Any:
        cores = self._server_core if workers == 1 else self._all_cores
        folder = self._folder / f"{contender.environment}-{workers}"
        return contenders.started(contender, folder, self._model, self._rows, cores=cores, workers=workers)

    def _ours(self, workers: int = 1) -> Any:
        cores = self._server_core if workers == 1 else self._all_cores
        return ours.started(
            self._folder / f"ours-{workers}",
            self._archive,
            self._rows,
            cores=cores,
            workers=workers,
            capture=self._capture,
        )

    def _in_turns(self, servers: dict[str, Running]) -> dict[str, dict[str, Any]]:
        """Of several samples the best rate and latencies and the least processor time: what neighbours took is not the server's."""
        best: dict[str, dict[str, Any]] = {name: {} for name in servers}
        for concurrency in CONCURRENCY:
            for _ in range(self._repeat):
                for name, server in servers.items():
                    seen = self._sample(server, concurrency)
                    before = best[name].get(str(concurrency), seen)
                    best[name][str(concurrency)] = {
                        key: max(seen[key], before[key])
                        if key in ("rate", "client_busy")
                        else min(seen[key], before[key])
                        for key in seen
                    }
        return best

    def _sample(self, server: Running, concurrency: int) -> dict[str, float]:
        requests = server.requests()
        load.closed(server.port, requests, concurrency, min(0.2, self._seconds))  # warm
        before = server.cpu_seconds()
        sample = load.closed(server.port, requests, concurrency, self._seconds)
        used = server.cpu_seconds() - before
        answered = len(sample.latencies)
        if not answered or len(sample.statuses) > 1:
            raise Absent(f"at concurrency {concurrency} it answered {dict(sample.statuses)}")
        return {
            "rate": round(sample.rate, 1),
            "p50_ms": round(sample.percentile(0.5), 3),
            "p99_ms": round(sample.percentile(0.99), 3),
            "cpu_us": round(used / answered * 1e6, 1),
            "client_busy": round(sample.client_busy, 3),
        }

    # Offered load

    def _curve(self, server: Running, found: dict[str, Any], name: str) -> list[dict[str, Any]]:
        """At a constant rate, up to twice the peak. The peak is measured right before, since the machine changes."""
        peak = self._sample(server, 32)["rate"]
        return [{"share": share, **self._offer(server, load.constant, share * peak)} for share in SHARES]

    def _shapes(self, server: Running, curve: Sequence[dict[str, Any]]) -> dict[str, Any]:
        peak = self._sample(server, 32)["rate"]
        shapes = {"constant": load.constant, "poisson": load.poisson, "bursts": load.bursts}
        return {
            f"{name} at {share:.0%}": self._offer(server, shape, share * peak)
            for name, shape in shapes.items()
            for share in (0.5, 0.8)
        }

    def _offer(self, server: Running, shape: Any, rate: float) -> dict[str, Any]:
        sample = load.offered(server.port, server.requests(), shape(rate, self._seconds), self._seconds)
        refused = sum(count for status, count in sample.statuses.items() if status != 200)
        return {
            "offered": round(rate, 1),
            "goodput": round(sample.rate, 1),
            "p50_ms": round(sample.percentile(0.5), 3),
            "p99_ms": round(sample.percentile(0.99), 3),
            "refused": refused,
            "refusal_p50_ms": round(sample.refusal_median(), 3) if refused else None,
            "unanswered": sample.unanswered,
            "statuses": {str(status): count for status, count in sample.statuses.items()},
            "client_busy": round(sample.client_busy, 3),
        }

    # Two workers, on all cores, beside the load: processor time only

    def _two_workers(self, peers: Sequence[contenders.Contender]) -> dict[str, Any]:
        os.sched_setaffinity(0, self._all_cores)
        found: dict[str, Any] = {}
        for contender in (FLOOR, *peers):
            try:
                with self._contender(contender, 2) as running:
                    found[contender.name] = self._cost(running)
            except Absent as absent:
                found[contender.name] = {"absent": str(absent)}
        with self._ours(2) as running:
            found["Colonnade"] = self._cost(running)
        return found

    def _cost(self, running: Running) -> dict[str, float]:
        sample = self._sample(running, 8)
        return {"cpu_us": sample["cpu_us"], "rate": sample["rate"], "pss_mib": round(running.pss_mib(), 1)}


def say(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
