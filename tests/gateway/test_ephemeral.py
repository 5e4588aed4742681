"""What `--ephemeral` offers test suites, over the wire: an empty server on demand, time that moves on demand, to those nearby."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from colonnade.testing.server import Server, running

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
NOBODY = "arn:aws:iam::123456789012:role/never-made"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("up") / "data", "--ephemeral", "--clock", "manual") as server:
        yield server


@pytest.fixture(autouse=True)
def emptied(server: Server) -> None:
    server.reset()


def asked(server: Server, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    try:
        connection.request(method, f"/_colonnade/{path}", body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, json.load(answer)
    finally:
        connection.close()


def until(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come about in 60 s"
        time.sleep(0.02)
    return found


def train_for_ever(server: Server) -> None:
    """As a role that nobody made: an ephemeral server does not mind."""
    server.client("s3").create_bucket(Bucket="data")
    server.client("s3").put_object(Bucket="data", Key="train/rows.csv", Body="0,1\n1,2\n" * 50)
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/train/"}}
    server.client("sagemaker").create_training_job(
        TrainingJobName="endless",
        RoleArn=NOBODY,
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        HyperParameters={"num_round": "1000000", "objective": "binary:logistic"},
        InputDataConfig=[{"ChannelName": "train", "ContentType": "text/csv", "DataSource": source}],
        OutputDataConfig={"S3OutputPath": "s3://data/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    )


def processes_of(folder: Path) -> list[int]:
    """Whoever names the folder on its command line: runners, and what they run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in command:
                found.append(int(entry.name))
    return found


def test_a_reset_ends_what_runs_and_forgets_what_was_there(server: Server) -> None:
    train_for_ever(server)
    logs, works = server.client("logs"), server.data / "work" / "works"
    until(lambda: logs.describe_log_groups()["logGroups"])
    assert processes_of(works)
    server.client("iam").create_role(RoleName="one", AssumeRolePolicyDocument=TRUST)
    server.client("s3").create_bucket(Bucket="large")
    server.client("s3").put_object(Bucket="large", Key="k", Body=b"x" * 100_000)
    assert any(path.is_file() for path in (server.data / "objects").rglob("*"))

    server.reset()

    assert server.client("sagemaker").list_training_jobs()["TrainingJobSummaries"] == []
    assert server.client("s3").list_buckets()["Buckets"] == []
    assert server.client("iam").list_roles()["Roles"] == []
    assert logs.describe_log_groups()["logGroups"] == []
    assert list(works.iterdir()) == processes_of(works) == []
    assert not any(path.is_file() for path in (server.data / "objects").rglob("*"))


TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)


def test_the_same_names_can_be_used_again_after_a_reset(server: Server) -> None:
    for _ in range(3):
        train_for_ever(server)
        server.reset()

    train_for_ever(server)

    def describe() -> Any:
        return server.client("sagemaker").describe_training_job(TrainingJobName="endless")

    until(lambda: describe()["SecondaryStatus"] == "Training")


def test_keys_made_before_a_reset_are_unknown_after_it(server: Server) -> None:
    server.client("iam").create_user(UserName="ann")
    key = server.client("iam").create_access_key(UserName="ann")["AccessKey"]
    hers = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    assert server.client("sts", **hers).get_caller_identity()["Arn"].endswith(":user/ann")

    server.reset()

    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        server.client("sts", **hers).get_caller_identity()


def test_time_stands_still_until_it_is_moved(server: Server) -> None:
    before = server.own("GET", "clock")

    assert server.own("GET", "clock") == before
    assert server.advance(90) == before["now"] + 90
    assert server.own("POST", "clock", {"to": before["now"] + 1000}) == {
        "now": before["now"] + 1000,
        "clock": "manual",
    }
    server.client("s3").create_bucket(Bucket="later")
    (bucket,) = server.client("s3").list_buckets()["Buckets"]
    assert bucket["CreationDate"].timestamp() == before["now"] + 1000

    server.reset()

    assert server.own("GET", "clock") == before


def test_a_session_ends_when_the_clock_says_so(server: Server) -> None:
    given = server.client("sts").get_session_token(DurationSeconds=900)["Credentials"]
    keys = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    server.client("s3", **keys).list_buckets()

    server.advance(901)

    with pytest.raises(ClientError, match="ExpiredToken"):
        server.client("s3", **keys).list_buckets()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"advance": -1}',
        b'{"advance": true}',
        b'{"advance": "1"}',
        b'{"advance": 1e300}',
        b'{"to": 0}',
        b'{"advance": 1, "to": 2}',
    ],
)
def test_a_move_of_the_clock_that_cannot_be_is_refused_and_moves_nothing(server: Server, body: bytes) -> None:
    before = server.own("GET", "clock")

    status, told = asked(server, "POST", "clock", body)

    assert status == 400
    assert told["message"]
    assert server.own("GET", "clock") == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example.org"},
        {"Host": "127.0.0.1.evil.example.org:4566"},
        {"Origin": "http://evil.example.org"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Referer": "http://evil.example.org/"},
        {"X-Forwarded-For": "127.0.0.1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["reset", "clock"])
def test_no_web_page_and_no_proxy_may_use_them(server: Server, path: str, headers: dict[str, str]) -> None:
    server.client("s3").create_bucket(Bucket="kept")

    status, told = asked(server, "POST", path, b'{"advance": 1}', **headers)

    assert (status, len(server.client("s3").list_buckets()["Buckets"])) == (403, 1)
    assert f"/_colonnade/{path}" in told["message"]


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:80"]
)
def test_this_machine_may_go_by_any_of_its_names(server: Server, host: str) -> None:
    assert asked(server, "POST", "reset", Host=host) == (200, {"status": "reset"})


def test_a_client_cannot_choose_its_own_address(server: Server) -> None:
    """aws:SourceIp would mean nothing."""
    status, _ = asked(server, "GET", "clock", Forwarded="for=10.0.0.1")

    assert status == 403


def test_account_and_root_keys_can_be_chosen(tmp_path: Path) -> None:
    variables = {
        "COLONNADE_ACCOUNT_ID": "000000000042",
        "COLONNADE_ROOT_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
        "COLONNADE_ROOT_SECRET_ACCESS_KEY": "a-secret-for-tests",
        "COLONNADE_REGION": "eu-central-1",
    }
    with running(tmp_path / "data", "--ephemeral", variables=variables) as server:
        keys = {
            "aws_access_key_id": "AKIATESTTESTTESTTEST",
            "aws_secret_access_key": "a-secret-for-tests",
        }
        assert server.client("sts", **keys).get_caller_identity() | {"ResponseMetadata": None} == {
            "UserId": "000000000042",
            "Account": "000000000042",
            "Arn": "arn:aws:iam::000000000042:root",
            "ResponseMetadata": None,
        }
        assert server.region == "eu-central-1"
        status, told = asked(server, "POST", "clock", b'{"advance": 1}')
        assert (status, "--clock manual" in told["message"]) == (409, True)


def test_a_server_that_keeps_what_it_has_cannot_be_reset(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--workers", "1") as server:
        server.client("s3").create_bucket(Bucket="kept")

        refused = [
            asked(server, "POST", "reset"),
            asked(server, "GET", "clock"),
            asked(server, "POST", "clock"),
        ]

        assert [status for status, _ in refused] == [404, 404, 404]
        assert all("--ephemeral" in told["message"] for _, told in refused)
        assert len(server.client("s3").list_buckets()["Buckets"]) == 1
        assert asked(server, "GET", "health")[0] == 200
