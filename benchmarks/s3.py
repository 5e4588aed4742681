"""S3 over a real socket on a durable server: `python benchmarks/s3.py`.

boto3's own work (signing, parsing) is most of its time for small objects, so the same requests also go out as presigned links
over one plain connection. A put of a new key costs three fsyncs: file, folder, commit.
"""

from __future__ import annotations

import http.client
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from colonnade.testing.server import running

COUNT = 300
LARGE = 64


def rate(count: int, work: Callable[[int], object]) -> float:
    began = time.perf_counter()
    for number in range(count):
        work(number)
    return count / (time.perf_counter() - began)


def by_link(
    connection: http.client.HTTPConnection, method: str, link: str, body: bytes | None = None
) -> None:
    connection.request(method, link[link.index("/", len("http://")) :], body=body)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status


def main() -> None:
    small, large = os.urandom(1024), os.urandom(LARGE * 1024 * 1024)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as server:
        client: Any = server.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        put = rate(COUNT, lambda number: client.put_object(Bucket="bucket", Key=str(number), Body=small))
        get = rate(COUNT, lambda number: client.get_object(Bucket="bucket", Key=str(number))["Body"].read())
        print(f"boto3, 1 KiB: put {put:,.0f}/s, get {get:,.0f}/s")

        def link(method: str, number: int) -> str:
            return str(
                client.generate_presigned_url(method, Params={"Bucket": "bucket", "Key": f"link-{number}"})
            )

        connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
        puts = [link("put_object", number) for number in range(COUNT)]
        gets = [link("get_object", number) for number in range(COUNT)]
        put = rate(COUNT, lambda number: by_link(connection, "PUT", puts[number], small))
        get = rate(COUNT, lambda number: by_link(connection, "GET", gets[number]))
        print(f"links, 1 KiB: put {put:,.0f}/s, get {get:,.0f}/s")

        put = LARGE * rate(
            2, lambda number: client.put_object(Bucket="bucket", Key=f"large-{number}", Body=large)
        )
        get = LARGE * rate(
            2, lambda number: client.get_object(Bucket="bucket", Key=f"large-{number}")["Body"].read()
        )
        print(f"boto3, {LARGE} MiB: put {put:,.0f} MiB/s, get {get:,.0f} MiB/s")


if __name__ == "__main__":
    main()
