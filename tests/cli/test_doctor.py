"""The doctor tells what holds, what to know and what is wrong, with an exit code to match."""

import json
import os
import socket
from pathlib import Path

import pytest

from colonnade import credentials
from colonnade.cli import main
from colonnade.settings import Settings


@pytest.fixture(autouse=True)
def _nobodys_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("COLONNADE_", "AWS_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLONNADE_PORT", "0")
    monkeypatch.setenv("COLONNADE_ISOLATION", "plain")


def diagnosis(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, list[str]]]:
    code = main(["doctor", "--json"])
    findings: dict[str, list[str]] = {}
    for each in json.loads(capsys.readouterr().out):
        findings.setdefault(each["subject"], []).append(f"{each['verdict']}: {each['text']}")
    return code, findings


def test_a_machine_without_a_server_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    code, findings = diagnosis(capsys)

    assert code == 0
    assert findings["data"][0].endswith("does not exist yet: `colonnade up` makes it")
    assert findings["jobs"][0].startswith("note: jobs are trusted")
    assert any(each.startswith("ok: xgboost: xgboost ") for each in findings["runtime"])


def test_an_open_folder_is_noted_and_open_credentials_are_wrong(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data = tmp_path / ".local/share/colonnade"
    data.mkdir(parents=True)
    data.chmod(0o755)
    credentials.settle(Settings(data=data))
    (data / "credentials.json").chmod(0o644)

    code, findings = diagnosis(capsys)

    assert code == 1
    assert any("chmod 700" in each for each in findings["data"])
    assert any(each.startswith("wrong: ") and "chmod 600" in each for each in findings["data"])


def test_a_taken_port_is_wrong(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("COLONNADE_PORT", str(taken.getsockname()[1]))

        code, findings = diagnosis(capsys)

    assert code == 1
    assert "is taken by process" in findings["server"][0]
