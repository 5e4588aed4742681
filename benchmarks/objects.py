"""PutObject and GetObject, small and large, the same bytes to any S3 server."""

from __future__ import annotations

import os
import time

from replay import Connection, Keys, rate, signed

SMALL, LARGE = 1024, 64 * 1024 * 1024


def figures(keys: Keys, seconds: float) -> dict[str, float]:
    connection = Connection(keys.url)
    connection.ask(signed(keys, "s3", "PUT", "/benchmark", b""))
    connection.close()
    found: dict[str, float] = {}
    small = os.urandom(SMALL)
    puts = [signed(keys, "s3", "PUT", f"/benchmark/small-{number}", small) for number in range(500)]
    gets = [signed(keys, "s3", "GET", f"/benchmark/small-{number}", b"") for number in range(100)]
    for connections in (1, 8):
        found[f"put_1k_c{connections}"] = rate(
            keys.url, puts, seconds=seconds, connections=connections
        ).per_second
    _fill(keys, puts[:100])
    for connections in (1, 8):
        found[f"get_1k_c{connections}"] = rate(
            keys.url, gets, seconds=seconds, connections=connections
        ).per_second
    large = os.urandom(LARGE)
    found["put_64m_mib"] = _throughput(
        keys, [signed(keys, "s3", "PUT", f"/benchmark/large-{number}", large) for number in range(3)]
    )
    found["get_64m_mib"] = _throughput(keys, [signed(keys, "s3", "GET", "/benchmark/large-0", b"")] * 3)
    return {name: round(value, 1) for name, value in found.items()}


def _fill(keys: Keys, puts: list[bytes]) -> None:
    """Slow servers may not have come round to all."""
    connection = Connection(keys.url)
    for put in puts:
        connection.ask(put)
    connection.close()


def _throughput(keys: Keys, requests: list[bytes]) -> float:
    """MiB/s of the best."""
    connection = Connection(keys.url)
    best = 0.0
    for request in requests:
        began = time.perf_counter()
        connection.ask(request)
        best = max(best, LARGE / (1 << 20) / (time.perf_counter() - began))
    connection.close()
    return best
