"""The clients' locks name versions and hashes, and no place that the packages would have to come from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PYTHON = sorted(path.parent.name for path in HERE.glob("*/requirements.lock"))


@pytest.mark.parametrize("client", PYTHON)
def test_every_python_package_has_a_version_and_a_hash_and_no_address(client: str) -> None:
    text = (HERE / client / "requirements.lock").read_text()
    packages = re.findall(r"^[^\s#-].*(?:\n    --hash=.*)*", text, flags=re.MULTILINE)
    assert packages
    for package in packages:
        assert re.match(r"[\w.-]+(\[[\w,.-]+\])?==", package), package
        assert "--hash=sha256:" in package, package
    assert "://" not in text


def test_every_node_package_has_a_hash_and_no_address() -> None:
    lock = json.loads((HERE / "javascript" / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    for name, entry in packages.items():
        assert entry["version"], name
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name
