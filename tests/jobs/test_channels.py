from __future__ import annotations

import pytest

from colonnade.jobs.channels import local_name, manifest_entries
from colonnade.jobs.locations import Location
from colonnade.kernel.errors import ServiceError


@pytest.mark.parametrize(
    ("prefix", "key", "name"),
    [
        ("data/train/", "data/train/a.csv", "a.csv"),
        ("data/train/", "data/train/deep/a.csv", "deep/a.csv"),
        ("data/train", "data/train/a.csv", "a.csv"),
        ("data/train", "data/train2/a.csv", "train2/a.csv"),
        ("data/train.csv", "data/train.csv", "train.csv"),
        ("train.csv", "train.csv", "train.csv"),
        ("data/tr", "data/train.csv", "train.csv"),
        ("", "a/b", "a/b"),
        ("data/train/", "data/train/", ""),
        ("data", "data/empty/", ""),
    ],
)
def test_objects_are_named_by_what_follows_the_prefix(prefix: str, key: str, name: str) -> None:
    assert local_name(prefix, key) == name


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '["a"]', '[{"prefix": ""}, "a"]', '[{"prefix": "s3://b/"}, 1]']
)
def test_what_is_no_manifest_says_what_one_is(text: str) -> None:
    with pytest.raises(ValueError, match="s3://b/m is not a manifest: want a JSON array"):
        manifest_entries(text, "s3://b/m")


@pytest.mark.parametrize("uri", ["", "s3:/b/k", "s3://", "http://b/k", "https://s3/b", "b/k"])
def test_what_is_no_s3_uri_is_refused(uri: str) -> None:
    with pytest.raises(ServiceError, match="is not valid"):
        Location.parse(uri)


def test_names_are_joined_below_a_location() -> None:
    assert str(Location.parse("s3://b").below("x", "y")) == "s3://b/x/y"
    assert str(Location.parse("s3://b/a/").below("x")) == "s3://b/a/x"
