"""The lock files: small where we promise it, whole, in step with pyproject.toml, and tied to no registry."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

TOP = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())
LOCKS = ("bootstrap", "core", "main", "dev")
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "extra": ""}


def lock_text(name: str) -> str:
    return (TOP / "requirements" / f"{name}.lock").read_text()


def locked(name: str) -> dict[str, Version]:
    """What the lock installs on Linux."""
    lines = [line.rstrip("\\ ") for line in lock_text(name).splitlines() if "==" in line]
    requirements = [Requirement(line) for line in lines]
    return {
        canonicalize_name(each.name): Version(str(each.specifier).removeprefix("=="))
        for each in requirements
        if each.marker is None or each.marker.evaluate(LINUX)
    }


def declared(name: str) -> list[Requirement]:
    core, extras, groups = (
        PROJECT["project"]["dependencies"],
        PROJECT["project"]["optional-dependencies"],
        PROJECT["dependency-groups"],
    )
    texts = {"core": core, "main": core + extras["main"], "dev": core + extras["main"] + groups["dev"]}
    return [Requirement(text) for text in texts[name]]


@pytest.mark.parametrize(("name", "most"), [("core", 32), ("main", 46)])
def test_an_install_stays_small(name: str, most: int) -> None:
    assert len(locked(name)) <= most


def test_the_core_brings_no_heavy_library() -> None:
    heavy = {"torch", "ray", "pandas", "scikit-learn", "xgboost-cpu", "xgboost", "boto3"}

    assert not heavy & set(locked("core"))


@pytest.mark.parametrize("name", ["core", "main", "dev"])
def test_a_lock_satisfies_what_pyproject_declares(name: str) -> None:
    versions = locked(name)

    unmet = [
        str(requirement)
        for requirement in declared(name)
        if canonicalize_name(requirement.name) not in versions
        or versions[canonicalize_name(requirement.name)] not in requirement.specifier
    ]

    assert not unmet, f"run `make lock`: {unmet}"


def test_a_package_has_one_version_in_all_locks() -> None:
    everything = locked("dev")

    for name in LOCKS:
        assert locked(name).items() <= everything.items(), f"{name}.lock differs: run `make lock`"


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_hashes(name: str) -> None:
    entries = re.split(r"^(?=\S)", lock_text(name), flags=re.MULTILINE)[1:]

    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_names_a_registry(name: str) -> None:
    assert not re.search(r"://|--index|--find-links", lock_text(name))
