"""Requests that were signed once and are sent again and again, since a signature holds for 15 minutes: so the figures are the
server's, not those of the client's signing and parsing."""

from __future__ import annotations

import json
import socket
import statistics
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


@dataclass(frozen=True)
class Keys:
    url: str
    region: str
    access_key_id: str
    secret_access_key: str


@dataclass(frozen=True)
class Rate:
    per_second: float
    median_ms: float
    p99_ms: float

    def told(self) -> dict[str, float]:
        return {
            "per_second": round(self.per_second, 1),
            "median_ms": round(self.median_ms, 3),
            "p99_ms": round(self.p99_ms, 3),
        }


def control(keys: Keys, operation: str, parameters: Any) -> bytes:
    """A SageMaker request, as bytes on the wire."""
    headers = {"X-Amz-Target": f"SageMaker.{operation}", "Content-Type": "application/x-amz-json-1.1"}
    return signed(keys, "sagemaker", "POST", "/", json.dumps(parameters).encode(), headers)


def signed(
    keys: Keys, service: str, method: str, path: str, body: bytes, headers: dict[str, str] | None = None
) -> bytes:
    request = AWSRequest(method, keys.url + path, headers=headers or {}, data=body)
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(Credentials(keys.access_key_id, keys.secret_access_key), service, keys.region).add_auth(request)
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {urlsplit(keys.url).netloc}",
        f"Content-Length: {len(body)}",
    ]
    lines += [
        f"{name}: {value}" for name, value in request.headers.items() if name.lower() != "content-length"
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Connection:
    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._socket = socket.create_connection((place.hostname, place.port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._seen = bytearray()

    def ask(self, request: bytes) -> bytes:
        """The body of a 200. Both kinds of server answer these with a Content-Length."""
        self._socket.sendall(request)
        while b"\r\n\r\n" not in self._seen:
            self._more()
        end = self._seen.index(b"\r\n\r\n") + 4
        head = bytes(self._seen[:end])
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        length = end + (int(lengths[0].partition(b":")[2]) if lengths else 0)
        while len(self._seen) < length:
            self._more()
        body = bytes(self._seen[end:length])
        del self._seen[:length]
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{head[:80]!r} {body[:500]!r}")
        return body

    def _more(self) -> None:
        piece = self._socket.recv(1 << 20)
        if not piece:
            raise ConnectionError("the server hung up")
        self._seen += piece

    def close(self) -> None:
        self._socket.close()


def rate(url: str, requests: list[bytes], *, seconds: float, connections: int = 1) -> Rate:
    """Send them in turn, from the first again after the last, over so many connections at once; each at least three times."""
    latencies: list[float] = []
    failures: list[BaseException] = []
    began = time.perf_counter()

    def drive(offset: int) -> None:
        connection = Connection(url)
        try:
            number, least = offset, offset + 3 * connections
            while (sent := time.perf_counter()) < began + seconds or number < least:
                connection.ask(requests[number % len(requests)])
                number += connections
                latencies.append(time.perf_counter() - sent)
        except BaseException as failure:  # noqa: BLE001 - raised again by the thread that waits
            failures.append(failure)
        finally:
            connection.close()

    warm = Connection(url)
    warm.ask(requests[0])
    warm.close()
    threads = [threading.Thread(target=drive, args=(number,)) for number in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    if failures:
        raise failures[0]
    ordered = sorted(latencies)
    return Rate(
        len(ordered) / took, statistics.median(ordered) * 1000, ordered[int(len(ordered) * 0.99)] * 1000
    )
