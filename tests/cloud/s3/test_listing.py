from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.s3.doubles import S3
from colonnade.cloud.s3.listing import page
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.store import Scope
from colonnade.kernel.store.memory import MemoryStore
from colonnade.testing.store import put

SCOPE = Scope("aws", "", "", "s3", "object/bucket")


@pytest.fixture
def filled(s3: S3, a_bucket: str) -> str:
    for key in ("a", "b/1", "b/2", "b/x/1", "c", "d//e", "é", "z z+%"):
        s3("PutObject", Bucket=a_bucket, Key=key, Body=key.encode())
    return a_bucket


def keys(answer: dict[str, Any]) -> list[str]:
    return [row["Key"] for row in answer.get("Contents", [])]


def prefixes(answer: dict[str, Any]) -> list[str]:
    return [row["Prefix"] for row in answer.get("CommonPrefixes", [])]


def test_all_keys_come_in_order_with_what_s3_tells_of_them(s3: S3, filled: str) -> None:
    answer = s3("ListObjectsV2", Bucket=filled)
    assert keys(answer) == ["a", "b/1", "b/2", "b/x/1", "c", "d//e", "z z+%", "é"]
    assert answer["KeyCount"] == 8
    assert answer["IsTruncated"] is False
    first = answer["Contents"][0]
    assert (first["Size"], first["ETag"], first["StorageClass"]) == (
        1,
        '"0cc175b9c0f1b6a831c399e269772661"',
        "STANDARD",
    )
    assert "Owner" not in first
    assert "Owner" in s3("ListObjectsV2", Bucket=filled, FetchOwner=True)["Contents"][0]


def test_a_delimiter_folds(s3: S3, filled: str) -> None:
    answer = s3("ListObjectsV2", Bucket=filled, Delimiter="/")
    assert (keys(answer), prefixes(answer)) == (["a", "c", "z z+%", "é"], ["b/", "d/"])
    assert answer["KeyCount"] == 6
    below = s3("ListObjectsV2", Bucket=filled, Delimiter="/", Prefix="b/")
    assert (keys(below), prefixes(below)) == (["b/1", "b/2"], ["b/x/"])


@pytest.mark.parametrize("delimiter", ["", "/"])
def test_pages_of_each_kind_of_list_make_up_the_whole(s3: S3, filled: str, delimiter: str) -> None:
    options = {"Bucket": filled, "MaxKeys": 2, **({"Delimiter": delimiter} if delimiter else {})}
    whole = s3("ListObjectsV2", Bucket=filled, Delimiter=delimiter)

    def collect(name: str, token: str, next_token: str, rows: str) -> list[str]:
        found: list[str] = []
        position: dict[str, Any] = {}
        while True:
            answer = s3(name, **options, **position)
            found += [row["Key"] for row in answer.get(rows, [])] + prefixes(answer)
            if not answer["IsTruncated"]:
                return sorted(found)
            position = {token: answer.get(next_token) or answer[rows][-1]["Key"]}

    wanted = sorted(keys(whole) + prefixes(whole))
    assert collect("ListObjectsV2", "ContinuationToken", "NextContinuationToken", "Contents") == wanted
    assert collect("ListObjects", "Marker", "NextMarker", "Contents") == wanted
    assert collect("ListObjectVersions", "KeyMarker", "NextKeyMarker", "Versions") == wanted


def test_start_after_and_markers(s3: S3, filled: str) -> None:
    assert keys(s3("ListObjectsV2", Bucket=filled, StartAfter="c")) == ["d//e", "z z+%", "é"]
    assert keys(s3("ListObjects", Bucket=filled, Marker="b/2")) == ["b/x/1", "c", "d//e", "z z+%", "é"]
    assert prefixes(s3("ListObjects", Bucket=filled, Marker="b/", Delimiter="/")) == ["d/"]


def test_url_encoding(s3: S3, filled: str) -> None:
    answer = s3("ListObjectsV2", Bucket=filled, EncodingType="url", Prefix="z ", StartAfter="z ")
    assert keys(answer) == ["z%20z%2B%25"]
    assert (answer["Prefix"], answer["StartAfter"], answer["EncodingType"]) == ("z%20", "z%20", "url")
    assert [unquote(key) for key in keys(s3("ListObjects", Bucket=filled, EncodingType="url"))] == keys(
        s3("ListObjects", Bucket=filled)
    )


def test_odd_requests(s3: S3, filled: str) -> None:
    none = s3("ListObjectsV2", Bucket=filled, MaxKeys=0)
    assert (keys(none), none["IsTruncated"], none["KeyCount"]) == ([], False, 0)
    for wrong in ({"MaxKeys": -1}, {"ContinuationToken": "nonsense"}, {"EncodingType": "html"}):
        with pytest.raises(ServiceError, match="InvalidArgument"):
            s3("ListObjectsV2", Bucket=filled, **wrong)


_KEYS = st.text(st.sampled_from("ab/🦊\U0010ffff"), min_size=1, max_size=5)


@settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    names=st.lists(_KEYS, unique=True, max_size=40),
    prefix=st.just("") | _KEYS,
    delimiter=st.sampled_from(["", "/", "a/", "🦊"]),
    limit=st.integers(1, 7),
)
def test_folding_by_jumps_agrees_with_folding_by_hand(
    names: list[str], prefix: str, delimiter: str, limit: int
) -> None:
    store = MemoryStore()
    for name in names:
        put(store, name, scope=SCOPE)
    wanted: list[str] = []
    for name in sorted(name for name in names if name.startswith(prefix)):
        end = name.find(delimiter, len(prefix)) if delimiter else -1
        entry = name if end < 0 else name[: end + len(delimiter)]
        if entry not in wanted:
            wanted.append(entry)

    found: list[str] = []
    after: str | None = None
    while True:
        with store.read() as reader:
            got = page(reader, SCOPE, prefix, delimiter, after, limit)
        found += sorted([row.key.name for row in got.rows] + got.prefixes)
        if not got.truncated:
            break
        after = got.last
    assert found == wanted


def test_a_folded_prefix_is_jumped_over_and_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    with store.write() as transaction:
        for number in range(5000):
            transaction.put(SCOPE.key(f"big/{number:05}"), {}, at=1.0)
        transaction.put(SCOPE.key("small"), {}, at=1.0)
    with store.read() as reader:
        seen: list[int] = []
        real = reader.scan
        monkeypatch.setattr(reader, "scan", lambda *a: (rows := real(*a), seen.append(len(rows)))[0])
        found = page(reader, SCOPE, "", "/", None, 1000)
    assert ([row.key.name for row in found.rows], found.prefixes) == (["small"], ["big/"])
    assert sum(seen) < 100
