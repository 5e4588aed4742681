"""Large objects through a real server: its memory stays flat, what is acknowledged is whole, and nobody sees half of one."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from colonnade.testing.server import Server, running

MEBIBYTE = 1024 * 1024
GROWTH = 100 * MEBIBYTE
PATIENT = Config(read_timeout=600, retries={"total_max_attempts": 1})


class Generated:
    """A file of any size: the same mebibyte over and over, each beginning with its number."""

    def __init__(self, mebibytes: int, seed: int = 1) -> None:
        self.size = mebibytes * MEBIBYTE
        self._block = random.Random(seed).randbytes(MEBIBYTE - 8)
        self._at = 0

    def __len__(self) -> int:
        return self.size

    def read(self, size: int = -1) -> bytes:
        if self._at >= self.size:
            return b""
        number, offset = divmod(self._at, MEBIBYTE)
        whole = number.to_bytes(8, "big") + self._block
        piece = whole[offset:] if size < 0 else whole[offset : offset + size]
        self._at += len(piece)
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self.size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("streams") / "data", "--workers", "1") as server:
        server.client("s3").create_bucket(Bucket="bucket")
        yield server


def proportional(pid: int) -> int:
    """Bytes of memory that a process has for itself, shared ones by its share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no Pss of {pid}")


@contextmanager
def growing_little(server: Server) -> Iterator[None]:
    """Every process of the server, looked at four times a second."""
    pids = [pid for pid in server.pids().values() if pid is not None]
    before = {pid: proportional(pid) for pid in pids}
    most: dict[int, int] = dict(before)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.25):
            for pid in pids:
                most[pid] = max(most[pid], proportional(pid))

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            yield
        finally:
            done.set()
        watching.result()
    grown = sum(most[pid] - before[pid] for pid in pids)
    print(f"the server grew by {grown / MEBIBYTE:.1f} MiB")
    assert grown < GROWTH


@pytest.mark.parametrize(
    "mebibytes", [300, pytest.param(5 * 1024, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_a_large_object_goes_in_and_out_through_little_memory(server: Server, mebibytes: int) -> None:
    client = server.client("s3", config=PATIENT)
    client.put_object(Bucket="bucket", Key="warm", Body=Generated(2))
    client.get_object(Bucket="bucket", Key="warm")["Body"].read()
    expected = Generated(mebibytes)

    with growing_little(server):
        client.put_object(Bucket="bucket", Key="large", Body=Generated(mebibytes))
        size = 0
        for piece in client.get_object(Bucket="bucket", Key="large")["Body"].iter_chunks(MEBIBYTE):
            assert piece == expected.read(MEBIBYTE)
            size += len(piece)
    client.delete_object(Bucket="bucket", Key="large")

    assert size == mebibytes * MEBIBYTE
    assert blobs(server) <= 1


def blobs(server: Server) -> int:
    """Files of content, whoever names them; the warm-up's is one."""
    return sum(1 for file in (server.data / "objects").glob("??/*"))


def test_a_reader_sees_the_old_object_or_the_new_one_and_never_a_mix(server: Server) -> None:
    client = server.client("s3", config=PATIENT)
    whole = [bytes([number]) * (3 * MEBIBYTE) for number in range(6)]
    digests = {hashlib.sha256(data).digest() for data in whole}
    client.put_object(Bucket="bucket", Key="changing", Body=whole[0])
    done = threading.Event()

    def read() -> int:
        reader = server.client("s3", config=PATIENT)
        times = 0
        while not done.is_set() or not times:
            body = reader.get_object(Bucket="bucket", Key="changing")["Body"].read()
            assert hashlib.sha256(body).digest() in digests
            times += 1
        return times

    with ThreadPoolExecutor(2) as pool:
        reading = [pool.submit(read) for _ in range(2)]
        try:
            for data in whole:
                client.put_object(Bucket="bucket", Key="changing", Body=data)
        finally:
            done.set()
        assert all(each.result() for each in reading)
    client.delete_object(Bucket="bucket", Key="changing")


def begun(server: Server, key: str, length: int, sent: bytes) -> socket.socket:
    """A connection on which an upload was begun and not finished."""
    request = AWSRequest(
        "PUT", f"{server.url}/bucket/{key}", headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    )
    request.context["payload_signing_enabled"] = False
    request.headers["Host"] = server.url.removeprefix("http://")
    pair = Credentials(server.access_key_id, server.secret_access_key)
    auth.S3SigV4Auth(pair, "s3", server.region).add_auth(request)
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    connection.sendall(
        f"PUT /bucket/{key} HTTP/1.1\r\n{lines}Content-Length: {length}\r\n\r\n".encode() + sent
    )
    return connection


def test_an_upload_that_is_cut_leaves_nothing(server: Server) -> None:
    client = server.client("s3")
    client.put_object(Bucket="bucket", Key="kept", Body=b"old")
    before = blobs(server)
    connection = begun(server, "kept", 50 * MEBIBYTE, bytes(8 * MEBIBYTE))
    wait_until(lambda: blobs(server) == before + 1)

    assert client.get_object(Bucket="bucket", Key="kept")["Body"].read() == b"old"
    connection.close()

    wait_until(lambda: blobs(server) == before)
    assert client.get_object(Bucket="bucket", Key="kept")["Body"].read() == b"old"


def test_uploads_that_stand_still_keep_nobody_waiting(server: Server) -> None:
    """More of them than there are threads for operations."""
    connections = [begun(server, f"slow-{number}", MEBIBYTE, b"a") for number in range(40)]
    try:
        client = server.client("s3", config=Config(read_timeout=40, retries={"total_max_attempts": 1}))

        assert client.list_buckets()["Buckets"]
        client.put_object(Bucket="bucket", Key="quick", Body=b"a" * MEBIBYTE)
        assert client.head_object(Bucket="bucket", Key="quick")["ContentLength"] == MEBIBYTE
    finally:
        for connection in connections:
            connection.close()


def test_an_unchanged_object_still_has_its_etag(server: Server) -> None:
    client = server.client("s3")
    etag = client.put_object(Bucket="bucket", Key="same", Body=b"a", CacheControl="max-age=5")["ETag"]

    for ask in (client.get_object, client.head_object):
        with pytest.raises(ClientError) as caught:
            ask(Bucket="bucket", Key="same", IfNoneMatch=etag)
        answer = caught.value.response["ResponseMetadata"]

        assert answer["HTTPStatusCode"] == 304
        assert answer["HTTPHeaders"]["etag"] == etag
        assert answer["HTTPHeaders"]["cache-control"] == "max-age=5"
        assert "last-modified" in answer["HTTPHeaders"]


def wait_until(holds: Any) -> None:
    deadline = threading.Event()
    for _ in range(1200):
        if holds():
            return
        deadline.wait(0.05)
    pytest.fail("it did not come about within a minute")
