"""What the command line refuses: one line that says what to do, an exit code that means something, no traceback."""

import os
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


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    code = main(argv)
    told = capsys.readouterr().err
    assert told.startswith("colonnade: ")
    assert told.count("\n") == 1, told
    return code, told


@pytest.mark.parametrize("command", [["status"], ["down"], ["configure"], ["logs", "job"]])
def test_without_a_server_a_command_says_how_to_start_or_name_one(
    capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    code, told = refused(capsys, *command)

    assert code == 3
    assert ".local/share/colonnade" in told
    assert "--data" in told


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--port", "many"], "--port: 'many'"),
        (["--workers", "0"], "--workers: '0'"),
        (["--clock", "manual"], "add --ephemeral"),
        (["--ephemeral", "--data", "/somewhere"], "leave one of them out"),
        (["--config", "/no/such.toml"], "/no/such.toml does not exist"),
    ],
)
def test_settings_that_cannot_be_are_wrong_usage(
    capsys: pytest.CaptureFixture[str], flags: list[str], told: str
) -> None:
    code, complaint = refused(capsys, "up", *flags)

    assert code == 2
    assert told in complaint


def test_a_data_folder_that_is_a_file_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    code, told = refused(capsys, "up", "--data", str(tmp_path / "file"), "--port", "0")

    assert code == 1
    assert f"{tmp_path / 'file'} cannot be used" in told


def test_an_unknown_host_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = refused(capsys, "up", "--host", "192.0.2.1", "--port", "0")

    assert code == 1
    assert "192.0.2.1 is no address of this machine" in told


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2

    told = capsys.readouterr().out
    assert "configure" in told
    assert "exit codes" in told


def test_configure_writes_a_profile_for_a_stopped_server_from_its_settings(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data = tmp_path / ".local/share/colonnade"
    data.mkdir(parents=True)
    pair = credentials.settle(Settings(data=data))
    (data / "colonnade.toml").write_text('port = 4567\nregion = "eu-west-1"\nhost = "0.0.0.0"\n')

    assert main(["configure", "--profile", "mine"]) == 0

    assert "http://127.0.0.1:4567" in capsys.readouterr().out
    assert "[profile mine]\nregion = eu-west-1\n" in (tmp_path / ".aws/config").read_text()
    assert pair.secret_access_key in (tmp_path / ".aws/credentials").read_text()


def test_configure_refuses_a_name_that_would_break_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = refused(capsys, "configure", "--profile", "a]\n[default")

    assert code == 2
    assert "cannot name a profile" in told


def test_configure_warns_when_a_proxy_would_be_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    credentials.settle(Settings(data=tmp_path))

    assert main(["configure", "--data", str(tmp_path)]) == 0
    assert "add 127.0.0.1 to NO_PROXY" in capsys.readouterr().err

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert main(["configure", "--data", str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("spelling", ["CreateModel", "sagemaker:CreateModel", "create_model"])
def test_where_prints_the_line_of_an_operation(capsys: pytest.CaptureFixture[str], spelling: str) -> None:
    assert main(["where", spelling]) == 0

    file, _, line = capsys.readouterr().out.strip().rpartition(":")
    source = Path(file).read_text().splitlines()
    assert "CreateModel" in source[int(line) - 1] or "def create_model" in source[int(line)]


def test_where_tells_an_absent_operation_from_an_unknown_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "where", "CreateMlflowApp") == (
        1,
        "colonnade: sagemaker:CreateMlflowApp: not implemented yet (docs/operations.md lists what is)\n",
    )
    code, told = refused(capsys, "where", "create_training_jbo")
    assert code == 2
    assert "did you mean CreateTrainingJob" in told
    code, told = refused(capsys, "where", "nosuch:CreateModel")
    assert code == 2
    assert "no service 'nosuch'" in told
