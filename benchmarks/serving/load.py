"""The load: one thread and one epoll, so that it takes a fraction of what any of the servers takes for a request.

`closed` keeps so many requests under way, `offered` sends at given instants whatever comes back: a constant rate, a Poisson process,
bursts. Latency counts from the instant at which a request was due, so a server that stands still is not excused from what
came meanwhile. Every answer is read whole; its status is counted, and nothing but 200 is goodput.
"""

from __future__ import annotations

import random
import select
import socket
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

_CHUNK = 256 * 1024


@dataclass
class Sample:
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    """Of answers of status 200, in seconds."""
    refused_after: list[float] = field(default_factory=list)
    """Of all others."""
    statuses: Counter[int] = field(default_factory=Counter)
    client_cpu: float = 0.0
    unanswered: int = 0

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return len(self.latencies) / self.seconds

    @property
    def client_busy(self) -> float:
        """Share of its core that the client took: near 1, it is the client that was measured."""
        return self.client_cpu / self.seconds

    def percentile(self, share: float) -> float:
        """In milliseconds."""
        return _percentile(self.latencies, share) * 1000

    def refusal_median(self) -> float:
        return _percentile(self.refused_after, 0.5) * 1000


def _percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def constant(rate: float, seconds: float) -> list[float]:
    return [number / rate for number in range(int(rate * seconds))]


def poisson(rate: float, seconds: float, seed: int = 7) -> list[float]:
    drawn, at, due = random.Random(seed), 0.0, []
    while (at := at + drawn.expovariate(rate)) < seconds:
        due.append(at)
    return due


def bursts(rate: float, seconds: float, every: float = 0.5) -> list[float]:
    """The same mean rate, all of it at once at the beginning of each interval."""
    size = int(rate * every)
    return [number * every for number in range(int(seconds / every)) for _ in range(size)]


class _Connection:
    """One request at a time on a connection that is kept; opened anew when the server closes it."""

    __slots__ = ("address", "buffer", "due", "socket")

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.due = 0.0
        self.open()

    def open(self) -> None:
        self.socket = socket.create_connection(self.address, timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, request: bytes, due: float) -> None:
        self.due = due
        self.socket.sendall(request)

    def receive(self) -> int:
        """The status of a whole answer, 0 while it is incomplete. Raises ConnectionError."""
        data = self.socket.recv(_CHUNK)
        if not data:
            raise ConnectionError("the server hung up")
        if self.buffer:
            data = self.buffer + data
        if _whole(data):
            self.buffer = b""
            return int(data[9:12])
        self.buffer = data
        return 0


def _whole(data: bytes) -> bool:
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = data[:end].lower()
    at = head.find(b"content-length:")
    if at < 0:
        return b"chunked" not in head or data.endswith(b"0\r\n\r\n")
    stop = head.find(b"\r\n", at)
    return len(data) - end - 4 >= int(head[at + 15 : stop if stop >= 0 else None])


class _Drive:
    def __init__(self, port: int, requests: Sequence[bytes], connections: int) -> None:
        self.sample = Sample()
        self._requests = requests
        self._next = 0
        self._poll = select.epoll()
        self._by_fd: dict[int, _Connection] = {}
        self.all = [_Connection(("127.0.0.1", port)) for _ in range(connections)]
        for each in self.all:
            self._add(each)

    def _add(self, connection: _Connection) -> None:
        self._by_fd[connection.socket.fileno()] = connection
        self._poll.register(connection.socket.fileno(), select.EPOLLIN)

    def send(self, connection: _Connection, due: float) -> None:
        connection.send(self._requests[self._next], due)
        self._next = (self._next + 1) % len(self._requests)

    def answered(self, timeout: float) -> list[_Connection]:
        free = []
        for fd, _ in self._poll.poll(timeout):
            connection = self._by_fd[fd]
            try:
                status = connection.receive()
            except ConnectionError:
                self._reopen(fd, connection)
                status = 599
            if status:
                took = time.perf_counter() - connection.due
                (self.sample.latencies if status == 200 else self.sample.refused_after).append(took)
                self.sample.statuses[status] += 1
                free.append(connection)
        return free

    def _reopen(self, fd: int, connection: _Connection) -> None:
        del self._by_fd[fd]
        connection.socket.close()
        connection.open()
        self._add(connection)

    def close(self) -> None:
        for each in self.all:
            each.socket.close()
        self._poll.close()


def closed(port: int, requests: Sequence[bytes], concurrency: int, seconds: float) -> Sample:
    """As many requests under way as told, each connection's next one as soon as it has its answer."""
    drive = _Drive(port, requests, concurrency)
    began, cpu = time.perf_counter(), time.process_time()
    for connection in drive.all:
        drive.send(connection, time.perf_counter())
    while (now := time.perf_counter()) < began + seconds:
        for connection in drive.answered(began + seconds - now):
            drive.send(connection, time.perf_counter())
    return _ended(drive, began, cpu)


def offered(
    port: int, requests: Sequence[bytes], due: Sequence[float], seconds: float, connections: int = 1000
) -> Sample:
    """A request at each of the instants within `seconds`, or as soon after as one of the connections is free; a second more for
    the last answers."""
    drive = _Drive(port, requests, connections)
    idle = deque(drive.all)
    waiting: deque[float] = deque()
    began, cpu, number = time.perf_counter(), time.process_time(), 0
    while (at := time.perf_counter() - began) < seconds + 1.0:
        while number < len(due) and due[number] <= at:
            waiting.append(began + due[number])
            number += 1
        while waiting and idle:
            drive.send(idle.popleft(), waiting.popleft())
        if number == len(due) and not waiting and len(idle) == connections:
            break
        left = due[number] - at if number < len(due) else seconds + 1.0 - at
        idle.extend(drive.answered(max(0.0, left) if idle or not waiting else 0.05))
    sample = _ended(drive, began, cpu)
    if sample.seconds <= seconds + 0.1:
        sample.seconds = seconds
    sample.unanswered = len(due) - len(sample.latencies) - len(sample.refused_after)
    return sample


def _ended(drive: _Drive, began: float, cpu: float) -> Sample:
    sample = drive.sample
    sample.seconds = time.perf_counter() - began
    sample.client_cpu = time.process_time() - cpu
    drive.close()
    return sample
