"""Durable read-check-upserts per second of the embedded store: `python benchmarks/store.py [folder]`.

Each transaction reads a document, puts its next version and appends an audit record: what a control-plane mutation costs.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

from colonnade.kernel.store import Event, Query, Scope, Store
from colonnade.kernel.store.memory import MemoryStore
from colonnade.kernel.store.sqlite import SqliteStore

SCOPE = Scope("aws", "123456789012", "eu-west-1", "sagemaker", "TrainingJob")
DOCUMENT = {
    "TrainingJobStatus": "InProgress",
    "HyperParameters": {f"name-{n}": str(n) for n in range(20)},
    "Filler": "x" * 200,
}


def upserts(store: Store, thread: int, count: int) -> None:
    for number in range(count):
        key = SCOPE.key(f"{thread}-{number % 500}")
        with store.write() as transaction:
            found = transaction.get(key)
            transaction.put(
                key, DOCUMENT, expect=found.version if found else 0, at=time.time(), status="InProgress"
            )
            transaction.append(Event("audit", "sagemaker:CreateTrainingJob", time.time(), {"requestID": "x"}))


def rate(store: Store, threads: int, count: int) -> float:
    running = [
        threading.Thread(target=upserts, args=(store, thread, count // threads)) for thread in range(threads)
    ]
    began = time.perf_counter()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return count / (time.perf_counter() - began)


def gets(store: Store, count: int) -> float:
    began = time.perf_counter()
    for number in range(count):
        with store.read() as reader:
            assert reader.get(SCOPE.key(f"0-{number % 50}"))
    return count / (time.perf_counter() - began)


def pages(store: Store, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        with store.read() as reader:
            assert len(reader.scan(SCOPE, Query(limit=100))) == 100
    return count / (time.perf_counter() - began)


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        for name, store in (
            ("sqlite", SqliteStore(Path(folder) / "colonnade.db")),
            ("memory", MemoryStore()),
        ):
            with closing(store):
                rates = "  ".join(
                    f"{threads} threads {rate(store, threads, 3000):7,.0f}/s" for threads in (1, 8, 32)
                )
                print(
                    f"{name}: upserts {rates}  gets {gets(store, 3000):,.0f}/s  pages of 100 {pages(store, 200):,.0f}/s"
                )


if __name__ == "__main__":
    main()
