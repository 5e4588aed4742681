"""`up`, `status`, `configure`, `logs`, `down` as a person uses them: real processes, a real server, an unchanged boto3."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

DEADLINE = 150.0


class Shell:
    """One person's home folder and terminal."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data = home / ".local/share/colonnade"
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "COLONNADE_", "XDG_"))
        }
        self.environment = {**kept, "HOME": str(home), "COLONNADE_PORT": "0", "NO_PROXY": "127.0.0.1"}

    def command(self, *argv: str) -> list[str]:
        return [sys.executable, "-m", "colonnade", *argv]

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*argv), env=self.environment, capture_output=True, text=True, timeout=DEADLINE
        )

    def json(self, *argv: str) -> Any:
        done = self.run(*argv, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    if (shell.data / "server.lock").exists():
        shell.run("down")


def session(shell: Shell, monkeypatch: pytest.MonkeyPatch, profile: str = "colonnade") -> boto3.Session:
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(shell.home / ".aws/config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shell.home / ".aws/credentials"))
    return boto3.Session(profile_name=profile)


def test_from_nothing_to_an_unchanged_boto3_and_back(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    up = shell.run("up", "--detach")
    assert up.returncode == 0, up.stderr
    assert "colonnade configure" in up.stdout
    assert "colonnade down" in up.stdout
    assert shell.run("configure").returncode == 0

    sagemaker = session(shell, monkeypatch).client("sagemaker")
    assert sagemaker.list_models()["Models"] == []

    status = shell.json("status")
    assert status["server"]["url"] == sagemaker.meta.endpoint_url
    assert status["endpoints"] == []
    assert status["jobs"]["training"] == []
    assert all(memory > 0 for memory in status["server"]["memory"].values())

    down = shell.run("down")
    assert (down.returncode, down.stdout) == (0, f"stopped process {status['server']['pid']}\n")
    assert shell.run("status").returncode == 3
    assert (shell.data / "server.log").stat().st_mode & 0o777 == 0o600


def test_what_was_kept_is_there_after_kill_9_and_a_new_start(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shell.json("up", "--detach")
    shell.run("configure")
    session(shell, monkeypatch).client("s3").create_bucket(Bucket="kept")

    os.kill(first["pid"], signal.SIGKILL)
    second = shell.json("up", "--detach")
    shell.run("configure")

    assert second["pid"] != first["pid"]
    buckets = session(shell, monkeypatch).client("s3").list_buckets()["Buckets"]
    assert [each["Name"] for each in buckets] == ["kept"]


def test_a_second_server_and_a_taken_port_are_refused_the_same_in_the_background(
    shell: Shell, tmp_path: Path
) -> None:
    first = shell.json("up", "--detach")

    second = shell.run("up", "--detach")
    third = shell.run("up", "--detach", "--data", str(tmp_path / "other"), "--port", str(first["port"]))

    assert (second.returncode, third.returncode) == (1, 1)
    assert f"process {first['pid']} already serves the data folder" in second.stderr
    assert f"port {first['port']} of 127.0.0.1 is taken by process" in third.stderr
    assert second.stderr.count("\n") == third.stderr.count("\n") == 1


def test_in_front_it_says_when_it_is_ready_and_ends_with_an_interrupt(shell: Shell) -> None:
    process = subprocess.Popen(
        shell.command("up", "--json"),
        env=shell.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())

    process.send_signal(signal.SIGINT)

    assert process.wait(DEADLINE) == 0
    assert ready["ready"] is True
    assert shell.run("status").returncode == 3


def test_an_ephemeral_server_is_one_process_and_leaves_nothing(shell: Shell) -> None:
    process = subprocess.Popen(
        shell.command("up", "--json", "--ephemeral", "--clock", "manual"),
        env=shell.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    ready = json.loads(line)
    folder = Path(ready["data"])
    assert folder.is_dir()
    assert ready["processes"] == {"colonnade": process.pid}
    status = json.loads(shell.run("status", "--json", "--data", ready["data"]).stdout)
    assert status["server"]["ephemeral"] is True

    process.terminate()

    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, errors
    assert not folder.exists()


TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def start_training(client: Callable[[str], Any], name: str, hyperparameters: Mapping[str, str]) -> None:
    role = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    client("iam").attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    client("s3").create_bucket(Bucket=name)
    client("s3").put_object(Bucket=name, Key="train/rows.csv", Body="0,1\n1,2\n0,1\n1,3\n")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{name}/train/"}}
    client("sagemaker").create_training_job(
        TrainingJobName=name,
        RoleArn=role,
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        AlgorithmSpecification={
            "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
            "TrainingInputMode": "File",
        },
        HyperParameters=dict(hyperparameters),
        InputDataConfig=[{"ChannelName": "train", "ContentType": "text/csv", "DataSource": source}],
        OutputDataConfig={"S3OutputPath": f"s3://{name}/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    )


def test_following_a_jobs_log_ends_with_the_job_and_its_exit_code_says_how(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.json("up", "--detach")
    shell.run("configure")
    client = session(shell, monkeypatch).client

    start_training(client, "trains", {"num_round": "3", "objective": "binary:logistic"})
    good = shell.run("logs", "trains", "--follow")
    start_training(client, "fails", {"num_round": "3", "objective": "nonsense"})
    bad = shell.run("logs", "fails", "--follow")

    assert good.returncode == 0, good.stderr
    assert "[2]\ttrain-" in good.stdout
    assert good.stdout == shell.run("logs", "trains").stdout
    assert bad.returncode == 1
    assert "fails failed: ClientError: Hyperparameter objective: nonsense" in bad.stderr


def test_an_iam_user_gets_a_profile_with_one_key_of_their_own(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.json("up", "--detach")
    shell.run("configure")
    iam = session(shell, monkeypatch).client("iam")
    iam.create_user(UserName="ann")

    first = shell.json("configure", "--user", "ann", "--profile", "ann")
    second = shell.json("configure", "--user", "ann", "--profile", "ann")
    nobody = shell.run("configure", "--user", "bob", "--profile", "bob")

    assert (first["changed"], second["changed"]) == (True, False)
    assert len(iam.list_access_keys(UserName="ann")["AccessKeyMetadata"]) == 1
    who = session(shell, monkeypatch, "ann").client("sts").get_caller_identity()
    assert who["Arn"].endswith(":user/ann")
    assert nobody.returncode == 1
    assert "aws iam create-user --user-name bob" in nobody.stderr
