"""Archives that nothing names any more are swept, and only they."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest

from colonnade.app import load_operations
from colonnade.kernel.clock import SystemClock
from colonnade.kernel.ids import SeededIds
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import ObjectInfo
from colonnade.kernel.signals import LocalSignals
from colonnade.kernel.store import Key
from colonnade.kernel.store.memory import MemoryStore
from colonnade.lifecycle.deploy.model.unused import sweep
from colonnade.serving.artifacts import Artifacts

NOW = 1_000_000.0
LONG_AGO = NOW - 200_000


@dataclass(frozen=True)
class Archive:
    content: bytes

    @property
    def info(self) -> ObjectInfo:
        return ObjectInfo("b", "k", len(self.content), "e", 0.0)

    def open(self) -> BinaryIO:
        return io.BytesIO(self.content)


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    load_operations()
    made = Platform(store=MemoryStore(), clock=SystemClock(), ids=SeededIds(), signals=LocalSignals())
    made.provide(Artifacts, Artifacts(tmp_path / "models"))
    return made


def kept(platform: Platform, content: bytes, *, at: float = LONG_AGO) -> str:
    """With something compiled from it."""
    artifacts = platform.the(Artifacts)
    digest = artifacts.keep(Archive(content))
    artifacts.keep_compiled(digest, "xgboost", {"compiled.json": io.BytesIO(b"{}")})
    os.utime(artifacts.folder(digest), (at, at))
    return digest


def put(platform: Platform, type_: str, document: dict[str, object]) -> None:
    with platform.store.write() as transaction:
        transaction.put(Key("aws", "123456789012", "us-east-1", "sagemaker", type_, "x"), document, at=0.0)


def test_what_endpoints_and_models_name_stays_and_the_rest_goes(platform: Platform) -> None:
    served, modelled, unused = (kept(platform, content) for content in (b"served", b"modelled", b"unused"))
    prepared = {"model": served, "folder": f"/data/models/{served}/compiled-xgboost"}
    put(platform, "Endpoint", {"_live": {"variants": [{"containers": [{"prepared": prepared}]}]}})
    put(platform, "Model", {"_archives": [modelled]})

    assert sweep(platform, now=NOW) == [unused]

    artifacts = platform.the(Artifacts)
    assert not artifacts.folder(unused).exists()
    for digest in (served, modelled):
        assert artifacts.compiled(digest, "xgboost") is not None
    assert {path.name for path in artifacts.folder(served).parent.iterdir()} == {served, modelled}


def test_what_was_kept_again_today_stays(platform: Platform) -> None:
    digest = kept(platform, b"just fetched", at=NOW - 60)
    assert sweep(platform, now=NOW) == []
    assert platform.the(Artifacts).folder(digest).exists()


def test_there_may_be_no_models_at_all(platform: Platform) -> None:
    assert sweep(platform, now=NOW) == []
