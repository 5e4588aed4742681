"""An endpoint that is watched: what it was asked is in S3, how it answered is in CloudWatch."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from journeys.team import BUCKET, Team, points, wait_for

ROWS = [line.partition(",")[2] for line in points(40, seed=3).splitlines()]


def watched(team: Team) -> str:
    """A captured endpoint of one variant, in service."""
    job = team.train()
    assert team.ended(job)["TrainingJobStatus"] == "Completed"
    sagemaker, name = team.server.client("sagemaker"), team.name("watched")
    variant = {
        "VariantName": "A",
        "ModelName": team.model(job),
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{BUCKET}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
    }
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[variant], DataCaptureConfig=capture
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    team.in_service(name)
    return name


def metric(team: Team, endpoint: str, name: str, **asked: Any) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    found: list[dict[str, Any]] = team.server.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=name,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "A"}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=2),
        Period=7200,
        **asked,
    )["Datapoints"]
    return found


def captured(team: Team, endpoint: str) -> list[dict[str, Any]]:
    """What of its calls lies in S3."""
    s3 = team.server.client("s3")
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"captured/{endpoint}/A/").get("Contents", ())
    bodies = [s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in listed]
    return [json.loads(line) for body in bodies for line in body.splitlines()]


def test_what_an_endpoint_is_asked_and_answers_is_captured_and_measured(team: Team) -> None:
    endpoint = watched(team)
    runtime = team.server.client("sagemaker-runtime")
    answers = [
        runtime.invoke_endpoint(
            EndpointName=endpoint, Body=row, ContentType="text/csv", InferenceId=f"row-{number}"
        )["Body"].read()
        for number, row in enumerate(ROWS)
    ]

    (calls,) = wait_for(
        lambda: metric(team, endpoint, "Invocations", Statistics=["Sum"]),
        lambda found: found and sum(point["Sum"] for point in found) == len(ROWS),
    )
    (latency,) = metric(team, endpoint, "ModelLatency", Statistics=["Maximum"], ExtendedStatistics=["p50"])
    team.server.client("sagemaker").delete_endpoint(EndpointName=endpoint)
    records = wait_for(lambda: captured(team, endpoint), lambda found: len(found) >= len(ROWS))

    assert calls["Sum"] == len(ROWS)
    assert 0 < latency["ExtendedStatistics"]["p50"] <= latency["Maximum"]
    asked = {record["eventMetadata"]["inferenceId"]: record["captureData"] for record in records}
    assert len(records) == len(asked) == len(ROWS)
    for inference_id, data in asked.items():
        number = int(inference_id.removeprefix("row-"))
        assert data["endpointInput"]["data"] == ROWS[number]
        assert data["endpointOutput"]["data"].encode() == answers[number]


def test_an_alarm_tells_its_topic_when_a_metric_breaches(team: Team) -> None:
    cloudwatch, sns, sqs = (team.server.client(service) for service in ("cloudwatch", "sns", "sqs"))
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    queue = sqs.create_queue(QueueName="alarms")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    cloudwatch.put_metric_alarm(
        AlarmName="too-many",
        Namespace="Mine",
        MetricName="Errors",
        Statistic="Sum",
        Period=10,
        EvaluationPeriods=1,
        Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[topic],
    )

    cloudwatch.put_metric_data(
        Namespace="Mine", MetricData=[{"MetricName": "Errors", "Value": 6, "StorageResolution": 1}]
    )

    (message,) = wait_for(
        lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5).get("Messages", []), bool
    )
    body = json.loads(message["Body"])
    assert (body["AlarmName"], body["NewStateValue"], body["OldStateValue"]) == (
        "too-many",
        "ALARM",
        "INSUFFICIENT_DATA",
    )
