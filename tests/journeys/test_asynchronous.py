"""Asynchronous endpoints, with real boto3: accepted is answered, once, whatever dies in between."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from colonnade.testing.server import running
from crash.killing import kill_a_part
from journeys.team import BUCKET, SCIKIT_LEARN, Team, wait_for

DOUBLING = """
import os
import time

def model_fn(folder):
    return None

def transform_fn(model, body, content_type, accept):
    text = body if isinstance(body, str) else body.decode()
    if text == "bad":
        raise ValueError("this input is bad")
    if text.startswith("slow"):
        time.sleep(1)
    if text == "fatal":
        os._exit(1)
    return text * 2, "text/plain"
"""


def archive(**files: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as made:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"code/{name}.py")
            entry.size = len(text.encode())
            made.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(stream.getvalue())


def script_model(team: Team, code: str) -> str:
    name = team.name("script")
    url = team.put(f"{name}.tar.gz", archive(inference=code))
    container = {"Image": SCIKIT_LEARN, "ModelDataUrl": url}
    team.server.client("sagemaker").create_model(
        ModelName=name, ExecutionRoleArn=team.role, PrimaryContainer=container
    )
    return name


def asynchronous(team: Team, model: str, *, per_instance: int = 2, **output: Any) -> str:
    name = team.name("queued")
    sagemaker = team.server.client("sagemaker")
    variant = {
        "VariantName": "A",
        "ModelName": model,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[variant],
        AsyncInferenceConfig={
            "OutputConfig": {
                "S3OutputPath": f"s3://{BUCKET}/{name}/out",
                "S3FailurePath": f"s3://{BUCKET}/{name}/failed",
                **output,
            },
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": per_instance},
        },
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    team.in_service(name)
    return name


def ask(team: Team, endpoint: str, text: str, **more: Any) -> dict[str, Any]:
    """Without retries: what is repeated is accepted twice."""
    url = team.put(f"inputs/{endpoint}/{team.name('input')}", text)
    runtime = team.server.client("sagemaker-runtime", config=Config(retries={"total_max_attempts": 1}))
    answer: dict[str, Any] = runtime.invoke_endpoint_async(
        EndpointName=endpoint, InputLocation=url, ContentType="text/plain", **more
    )
    return answer


def found(team: Team, url: str) -> Any:
    """The object, or nothing as long as it is not there."""
    try:
        return team.server.client("s3").get_object(Bucket=BUCKET, Key=url.removeprefix(f"s3://{BUCKET}/"))
    except team.server.client("s3").exceptions.NoSuchKey:
        return None


def outcome(team: Team, url: str) -> str:
    content = wait_for(lambda: found(team, url), lambda seen: seen is not None)
    text: str = content["Body"].read().decode()
    return text


@pytest.fixture(scope="module")
def topics(team: Team) -> tuple[str, str]:
    """A topic for both outcomes, and a queue that hears it."""
    return listening(team, "outcomes")


def listening(team: Team, name: str) -> tuple[str, str]:
    sns, sqs = team.server.client("sns"), team.server.client("sqs")
    topic = sns.create_topic(Name=name)["TopicArn"]
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    allowed = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sns:Publish", "Resource": topic}],
    }
    team.server.client("iam").put_role_policy(
        RoleName="ml", PolicyName=name, PolicyDocument=json.dumps(allowed)
    )
    return topic, url


def notices(team: Team, url: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the queue has, as (SNS's message id, the notice)."""
    sqs = team.server.client("sqs")
    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2).get(
        "Messages", []
    ):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        told = json.loads(message["Body"])
        yield told["MessageId"], json.loads(told["Message"])


def next_notice(team: Team, url: str) -> dict[str, Any]:
    _, notice = wait_for(lambda: next(notices(team, url), None), lambda seen: seen is not None)
    told: dict[str, Any] = notice
    return told


def test_a_request_is_answered_in_s3_and_told_to_the_topics(team: Team, topics: tuple[str, str]) -> None:
    topic, url = topics
    endpoint = asynchronous(
        team,
        script_model(team, DOUBLING),
        NotificationConfig={
            "SuccessTopic": topic,
            "ErrorTopic": topic,
            "IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC"],
        },
    )
    assert next_notice(team, url)["eventName"] == "TestNotification"
    answer = ask(team, endpoint, "ab", InferenceId="first", Accept="text/plain")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["InferenceId"] == "first"
    assert answer["OutputLocation"] == f"s3://{BUCKET}/{endpoint}/out/first.out"
    assert answer["FailureLocation"] == f"s3://{BUCKET}/{endpoint}/failed/first-error.out"
    assert outcome(team, answer["OutputLocation"]) == "abab"
    told = next_notice(team, url)
    assert (told["invocationStatus"], told["inferenceId"], told["eventName"]) == (
        "Completed",
        "first",
        "InferenceResult",
    )
    assert told["requestParameters"]["endpointName"] == endpoint
    assert told["responseParameters"] == {
        "contentType": "text/plain",
        "outputLocation": answer["OutputLocation"],
    }
    assert told["responseBody"] == {"content": "abab", "encoding": "UTF-8"}
    failing = ask(team, endpoint, "bad")
    assert "this input is bad" in outcome(team, failing["FailureLocation"])
    told = next_notice(team, url)
    assert (told["invocationStatus"], told["inferenceId"]) == ("Failed", failing["InferenceId"])
    assert "this input is bad" in told["failureReason"]
    named = ask(team, endpoint, "x", Filename="mine.txt", S3OutputPathExtension="a/b")
    assert named["OutputLocation"] == f"s3://{BUCKET}/{endpoint}/out/a/b/mine.txt"
    assert outcome(team, named["OutputLocation"]) == "xx"


def test_a_body_may_come_with_the_request(team: Team) -> None:
    endpoint = asynchronous(team, script_model(team, DOUBLING))
    runtime = team.server.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint_async(EndpointName=endpoint, Body=b"inline", ContentType="text/plain")
    assert outcome(team, answer["OutputLocation"]) == "inlineinline"
    with pytest.raises(ClientError) as both:
        runtime.invoke_endpoint_async(EndpointName=endpoint, Body=b"x", InputLocation=f"s3://{BUCKET}/x")
    assert both.value.response["Error"]["Code"] == "ValidationError"


def test_an_asynchronous_endpoint_is_not_invoked_in_real_time_nor_the_other_way_round(team: Team) -> None:
    model = script_model(team, DOUBLING)
    queued, direct = asynchronous(team, model), team.deploy(model)
    runtime = team.server.client("sagemaker-runtime")
    with pytest.raises(ClientError) as refused:
        runtime.invoke_endpoint(EndpointName=queued, Body=b"x")
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(ClientError) as other:
        runtime.invoke_endpoint_async(EndpointName=direct, InputLocation=f"s3://{BUCKET}/x")
    assert other.value.response["Error"]["Code"] == "ValidationError"


def test_requests_wait_for_an_instance_and_what_nobody_can_read_fails(team: Team) -> None:
    endpoint = asynchronous(team, script_model(team, DOUBLING))
    sagemaker = team.server.client("sagemaker")

    def scale(count: int) -> None:
        wanted = [{"VariantName": "A", "DesiredInstanceCount": count}]
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=endpoint, DesiredWeightsAndCapacities=wanted
        )
        team.in_service(endpoint)
        described = wait_for(
            lambda: sagemaker.describe_endpoint(EndpointName=endpoint)["ProductionVariants"][0],
            lambda seen: seen["CurrentInstanceCount"] == count,
        )
        assert described["DesiredInstanceCount"] == count

    scale(0)
    waiting = [ask(team, endpoint, str(index)) for index in range(3)]
    text = wait_for(
        lambda: metrics(team),
        lambda seen: f'colonnade_async_backlog_size{{region="us-east-1",endpoint="{endpoint}"}} 3' in seen,
    )
    assert f'colonnade_async_backlog_without_capacity{{region="us-east-1",endpoint="{endpoint}"}} 1' in text
    assert [found(team, each["OutputLocation"]) for each in waiting] == [None] * 3
    scale(1)
    assert [outcome(team, each["OutputLocation"]) for each in waiting] == ["00", "11", "22"]
    absent = team.server.client("sagemaker-runtime").invoke_endpoint_async(
        EndpointName=endpoint, InputLocation=f"s3://{BUCKET}/nothing-here"
    )
    assert "NoSuchKey" in outcome(team, absent["FailureLocation"])


def metrics(team: Team) -> str:
    with urlopen(f"{team.server.url}/_colonnade/metrics") as answer:
        text: str = answer.read().decode()
        return text


def test_what_still_waits_when_an_endpoint_is_deleted_is_told(team: Team) -> None:
    endpoint = asynchronous(team, script_model(team, DOUBLING))
    sagemaker = team.server.client("sagemaker")
    wanted = [{"VariantName": "A", "DesiredInstanceCount": 0}]
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint, DesiredWeightsAndCapacities=wanted
    )
    team.in_service(endpoint)
    answer = ask(team, endpoint, "never")
    sagemaker.delete_endpoint(EndpointName=endpoint)
    assert "deleted" in outcome(team, answer["FailureLocation"])


def test_a_request_that_ends_its_process_fails_in_the_end_and_others_do_not(team: Team) -> None:
    endpoint = asynchronous(team, script_model(team, DOUBLING), per_instance=1)
    fatal, other = ask(team, endpoint, "fatal"), ask(team, endpoint, "ab")
    assert "it is not tried again" in outcome(team, fatal["FailureLocation"])
    assert outcome(team, other["OutputLocation"]) == "abab"


def test_a_request_that_nobody_had_time_for_expires(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--ephemeral", "--clock", "manual") as server:
        team = Team(server).prepare()
        endpoint = asynchronous(team, script_model(team, DOUBLING))
        wanted = [{"VariantName": "A", "DesiredInstanceCount": 0}]
        server.client("sagemaker").update_endpoint_weights_and_capacities(
            EndpointName=endpoint, DesiredWeightsAndCapacities=wanted
        )
        team.in_service(endpoint)
        answer = ask(team, endpoint, "late", RequestTTLSeconds=60)
        server.advance(59)
        assert found(team, answer["FailureLocation"]) is None
        server.advance(2)
        assert "expired" in outcome(team, answer["FailureLocation"])


def test_every_accepted_request_is_answered_once_through_kills_at_random_moments(tmp_path: Path) -> None:
    draw = random.Random(20)
    with running(tmp_path / "data") as server:
        team = Team(server).prepare()
        topic, url = listening(team, "kills")
        endpoint = asynchronous(
            team,
            script_model(team, DOUBLING),
            NotificationConfig={"SuccessTopic": topic, "ErrorTopic": topic},
        )
        asked: dict[str, str] = {}
        ids: set[str] = set()
        for index in range(60):
            text = f"slow {index}" if index % 20 == 0 else f"text {index}"
            answer = accepted(team, endpoint, text)
            asked[answer["OutputLocation"]] = text
            ids.add(answer["InferenceId"])
            if index in (7, 15, 22, 31, 44, 52):
                time.sleep(draw.random() / 4)  # anywhere in the work, not always at its beginning
                kill_a_part(server, draw)
        written = {}
        for output, text in asked.items():
            content = wait_for(lambda output=output: reachable(team, output), lambda seen: seen is not None)
            assert content["Body"].read().decode() == text * 2
            written[output] = content["LastModified"]
        told: dict[str, set[str]] = {}

        def hear() -> dict[str, set[str]]:
            for message, notice in notices(team, url):
                if notice["eventName"] != "TestNotification":
                    told.setdefault(notice["inferenceId"], set()).add(message)
                    assert notice["invocationStatus"] == "Completed", notice
            return told

        wait_for(hear, lambda seen: ids <= seen.keys())
        assert {len(told[id]) for id in ids} == {1}
        assert {output: reachable(team, output)["LastModified"] for output in asked} == written


def accepted(team: Team, endpoint: str, text: str) -> dict[str, Any]:
    """A call whose connection broke may have been accepted: it is asked again as another request."""
    answer: dict[str, Any] = wait_for(
        lambda: tried(lambda: ask(team, endpoint, text)), lambda seen: seen is not None
    )
    return answer


def reachable(team: Team, output: str) -> Any:
    return tried(lambda: found(team, output))


def tried(call: Callable[[], Any]) -> Any:
    """None while the worker that was asked has just been killed."""
    try:
        return call()
    except (ConnectionError, HTTPClientError):
        return None
