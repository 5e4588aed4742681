"""A worker's end of a user's own HTTP server, against servers that do what servers do, and worse."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from colonnade.serving import probe
from colonnade.serving.connection import ReplicaLost
from colonnade.serving.frames import INVOKE, Answer, Request
from colonnade.serving.http_server import HttpServer

ROW = Request(INVOKE, b"1,2", "text/csv", "text/csv")
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 2\r\n\r\nok"
Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def asked(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    return head + await reader.readexactly(int(lengths[0].partition(b":")[2]) if lengths else 0)


def says(*pieces: bytes, then_hang_up: bool = False) -> Peer:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await asked(reader)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if then_hang_up:
                writer.close()
                return

    return peer


class Served:
    def __init__(self) -> None:
        self.connections = 0
        self.lost = 0

    async def run(self, path: Path, peer: Peer, work: Callable[[HttpServer], Awaitable[None]]) -> None:
        ends: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            ends.add(asyncio.current_task())  # type: ignore[arg-type]
            try:
                await peer(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                writer.close()

        listener = await asyncio.start_unix_server(accept, path)
        server = HttpServer(f"http+unix:{path}", self._count)
        try:
            async with asyncio.timeout(60):
                await work(server)
        finally:
            server.close()
            listener.close()
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    def _count(self) -> None:
        self.lost += 1


def served(path: Path, peer: Peer, work: Callable[[HttpServer], Awaitable[None]]) -> Served:
    made = Served()
    asyncio.run(made.run(path / "s", peer, work))
    return made


def answers(found: list[Answer], times: int = 1) -> Callable[[HttpServer], Awaitable[None]]:
    async def work(server: HttpServer) -> None:
        for _ in range(times):
            found.append(await server.ask(ROW))

    return work


def test_one_connection_serves_calls_that_follow_each_other(tmp_path: Path) -> None:
    found: list[Answer] = []

    seen = served(tmp_path, says(OK), answers(found, 5))

    assert found == [Answer(200, b"ok", "text/csv")] * 5
    assert (seen.connections, seen.lost) == (1, 0)


def test_calls_at_once_have_a_connection_each_which_is_kept(tmp_path: Path) -> None:
    async def work(server: HttpServer) -> None:
        for _ in range(3):
            await asyncio.gather(*(server.ask(ROW) for _ in range(10)))
            assert server.outstanding == 0

    seen = served(tmp_path, says(OK), work)

    assert (seen.connections, seen.lost) == (10, 0)


@pytest.mark.parametrize(
    ("pieces", "hang_up", "body"),
    [
        (
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                b"1\r\na\r\n",
                b"2\r\nbc\r\n0\r\n\r\n",
            ),
            False,
            b"abc",
        ),
        ((b"HTTP/1.0 200 OK\r\n\r\nto the", b" end"), True, b"to the end"),
        ((b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",), True, b"x"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny"), False, b"y"),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), False, b""),
    ],
)
def test_every_way_of_ending_an_answer_is_understood(
    tmp_path: Path, pieces: tuple[bytes, ...], hang_up: bool, body: bytes
) -> None:
    found: list[Answer] = []

    seen = served(tmp_path, says(*pieces, then_hang_up=hang_up), answers(found, 2))

    assert [answer.body for answer in found] == [body, body]
    assert seen.lost == 0


def test_a_server_that_hung_up_on_an_idle_connection_is_asked_over_another(tmp_path: Path) -> None:
    async def tidy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(OK)
        await asked(reader)  # as it takes the next request, it hangs up without a word
        writer.close()

    found: list[Answer] = []

    seen = served(tmp_path, tidy, answers(found, 4))

    assert [answer.body for answer in found] == [b"ok"] * 4
    assert (seen.connections, seen.lost) == (4, 0)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/\x07plain\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_off_or_is_none_suspects_the_call_and_takes_the_server_out(
    tmp_path: Path, said: bytes
) -> None:
    async def work(server: HttpServer) -> None:
        with pytest.raises(ReplicaLost) as lost:
            await server.ask(ROW)
        assert lost.value.suspect
        assert not server.alive
        assert server.outstanding == 0

    assert served(tmp_path, says(said, then_hang_up=True), work).lost == 1


def test_nobody_is_suspected_where_nobody_listens(tmp_path: Path) -> None:
    async def work() -> None:
        server = HttpServer(f"http+unix:{tmp_path / 'nobody'}", lambda: None)
        with pytest.raises(ReplicaLost) as lost:
            await server.ask(ROW)
        assert not lost.value.suspect

    asyncio.run(work())


def test_a_call_that_is_given_up_closes_its_connection(tmp_path: Path) -> None:
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        assert await reader.read() == b""
        gone.set()

    async def work(server: HttpServer) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await server.ask(ROW)
        await gone.wait()
        assert server.outstanding == 0

    assert served(tmp_path, silent, work).lost == 0


def test_an_answer_that_nobody_reads_stops_its_server_and_takes_no_memory(tmp_path: Path) -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()
            sent += 65536

    async def work(server: HttpServer) -> None:
        stream = await server.stream(ROW)
        before = -1
        while sent != before:  # until it sends no more
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 4 * 1024 * 1024
        read = 0
        while read < 16 * 1024 * 1024:
            read += len(await stream.part())
        stream.close()
        assert server.outstanding == 0

    served(tmp_path, endless, work)
    assert sent > 12 * 1024 * 1024


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False), (404, False)])
def test_only_a_ping_answered_by_200_is_well(tmp_path: Path, status: int, well: bool) -> None:
    async def work(server: HttpServer) -> None:
        address = f"http+unix:{tmp_path / 's'}"
        assert await asyncio.to_thread(probe.answers, address) is well
        assert await asyncio.to_thread(probe.refuses, address) is not well
        if well:
            await server.ping()
        else:
            with pytest.raises(ReplicaLost):
                await server.ping()

    served(tmp_path, says(b"HTTP/1.1 %d Word\r\nContent-Length: 0\r\n\r\n" % status), work)


def test_what_would_begin_another_header_does_not(tmp_path: Path) -> None:
    heads: list[bytes] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await asked(reader))
        writer.write(OK)

    async def work(server: HttpServer) -> None:
        await server.ask(Request(INVOKE, b"", "text/csv\r\nEvil: 1", "", "a\nb"))

    served(tmp_path, peer, work)

    assert b"Content-Type: text/csv  Evil: 1\r\nX-Amzn-SageMaker-Custom-Attributes: a b\r\n" in heads[0]
