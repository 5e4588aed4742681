"""Batch transform as its users meet it: real boto3, a real server, models that were really trained."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from colonnade.testing.server import running
from journeys.team import BUCKET, SCIKIT_LEARN, Team, points, wait_for

ROWS = [line.partition(",")[2] for line in points(300, seed=11).splitlines()]
ENDED = ("Completed", "Failed", "Stopped")


@pytest.fixture(scope="module")
def model(team: Team) -> str:
    job = team.train()
    assert team.ended(job)["TrainingJobStatus"] == "Completed"
    return team.model(job)


def transform(team: Team, model: str, uri: str, output: str, **changes: Any) -> str:
    """Start a job over CSV lines, changed as told; answers its name."""
    name = team.name("transform")
    request: dict[str, Any] = {
        "TransformJobName": name,
        "ModelName": model,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": output, "Accept": "text/csv", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    for member, change in changes.items():
        held = request.get(member)
        request[member] = {**held, **change} if isinstance(held, dict) else change
    team.server.client("sagemaker").create_transform_job(**request)
    return name


def ended(team: Team, name: str) -> dict[str, Any]:
    sagemaker = team.server.client("sagemaker")
    return wait_for(
        lambda: sagemaker.describe_transform_job(TransformJobName=name),
        lambda described: described["TransformJobStatus"] in ENDED,
    )


def completed(team: Team, name: str) -> dict[str, Any]:
    described = ended(team, name)
    assert described["TransformJobStatus"] == "Completed", described.get("FailureReason")
    return described


def outputs(team: Team, prefix: str) -> dict[str, bytes]:
    """By what comes after the prefix."""
    s3 = team.server.client("s3")
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {
        item["Key"].removeprefix(prefix): s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
        for item in found
    }


def lines(rows: list[str]) -> str:
    return "".join(f"{row}\n" for row in rows)


def logged(team: Team, name: str) -> dict[str, str]:
    """What each of the job's streams holds, by its name without the job's."""
    logs = team.server.client("logs")
    group = "/aws/sagemaker/TransformJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
    held = {}
    for stream in streams:
        events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
        held[stream["logStreamName"].removeprefix(f"{name}/")] = "\n".join(
            event["message"] for event in events
        )
    return held


def script_model(team: Team, code: str, **environment: str) -> str:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("code/inference.py")
        entry.size = len(code.encode())
        archive.addfile(entry, io.BytesIO(code.encode()))
    name = team.name("script")
    uri = team.put(f"models/{name}/model.tar.gz", packed.getvalue())
    container = {"Image": SCIKIT_LEARN, "ModelDataUrl": uri, "Environment": environment}
    team.server.client("sagemaker").create_model(
        ModelName=name, ExecutionRoleArn=team.role, PrimaryContainer=container
    )
    return name


def test_objects_become_out_objects_in_the_same_folders_and_lines_keep_their_order(
    team: Team, model: str
) -> None:
    team.put("in-a/day1/x.csv", lines(ROWS[:100]))
    team.put("in-a/day2/deep/y.csv", lines(ROWS[100:]))
    team.put("in-a/empty/", b"")

    described = completed(team, transform(team, model, f"s3://{BUCKET}/in-a", f"s3://{BUCKET}/out-a/"))

    found = outputs(team, "out-a/")
    assert set(found) == {"day1/x.csv.out", "day2/deep/y.csv.out"}
    predicted = [float(line) for name in sorted(found) for line in found[name].splitlines()]
    assert len(predicted) == 300
    said = [float(x) > float(y) for x, y in (row.split(",") for row in ROWS)]
    assert sum((p > 0.5) == truth for p, truth in zip(predicted, said, strict=True)) > 285
    times = [described[f"{kind}Time"] for kind in ("Creation", "TransformStart", "TransformEnd")]
    assert times == sorted(times)
    assert described["DataProcessing"] == {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
    assert described["TransformJobArn"].endswith(f":transform-job/{described['TransformJobName'].lower()}")


def test_what_comes_out_does_not_depend_on_instances_concurrency_or_batches(team: Team, model: str) -> None:
    for number in range(5):
        team.put(f"in-b/{number}.csv", lines(ROWS[number * 60 : number * 60 + 60]))
    ways: list[dict[str, Any]] = [
        {},
        {"TransformResources": {"InstanceCount": 3}, "MaxConcurrentTransforms": 4, "MaxPayloadInMB": 1},
        {"BatchStrategy": "SingleRecord", "MaxConcurrentTransforms": 2},
    ]

    names = [
        transform(team, model, f"s3://{BUCKET}/in-b/", f"s3://{BUCKET}/out-b/{way}", **changes)
        for way, changes in enumerate(ways)
    ]
    for name in names:
        completed(team, name)

    first, *others = [outputs(team, f"out-b/{way}/") for way in range(len(ways))]
    assert set(first) == {f"{number}.csv.out" for number in range(5)}
    assert all(other == first for other in others)
    assert {name.partition("/")[2] for name in logged(team, names[1])} == {"", "data-log"}
    assert len(logged(team, names[1])) >= 3


def test_an_id_column_is_kept_from_the_model_and_joined_with_its_prediction(team: Team, model: str) -> None:
    team.put(
        "in-c/ids.csv.gz", gzip.compress(lines([f"id-{n},{row}" for n, row in enumerate(ROWS)]).encode())
    )

    completed(
        team,
        transform(
            team,
            model,
            f"s3://{BUCKET}/in-c/ids.csv.gz",
            f"s3://{BUCKET}/out-c",
            TransformInput={"CompressionType": "Gzip"},
            DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"},
        ),
    )

    (answer,) = outputs(team, "out-c/").values()
    rows = [line.split(",") for line in answer.decode().splitlines()]
    assert [row[0] for row in rows] == [f"id-{n}" for n in range(300)]
    assert all(0 <= float(row[1]) <= 1 and len(row) == 2 for row in rows)
    assert set(outputs(team, "out-c/")) == {"ids.csv.gz.out"}


def test_a_bad_row_fails_the_job_by_file_and_line_and_the_whole_files_are_kept(
    team: Team, model: str
) -> None:
    team.put("in-d/bad.csv", lines([*ROWS[:149], "0.5,fast", *ROWS[149:]]))
    team.put("in-d/good.csv", lines(ROWS))

    name = transform(team, model, f"s3://{BUCKET}/in-d/", f"s3://{BUCKET}/out-d")
    described = ended(team, name)

    assert described["TransformJobStatus"] == "Failed"
    reason = described["FailureReason"]
    assert reason.startswith("ClientError: See job logs for more information.")
    assert f"{BUCKET}/in-d/bad.csv, line 150 (415)" in reason
    assert "column 2: 'fast' is not a number" in reason
    assert set(outputs(team, "out-d/")) == {"good.csv.out"}
    (data_log,) = [text for stream, text in logged(team, name).items() if stream.endswith("/data-log")]
    assert "[sagemaker logs]: MaxConcurrentTransforms=" in data_log
    assert f"[sagemaker logs]: {BUCKET}/in-d/bad.csv: ClientError: 415 (line 150)" in data_log


def test_a_script_of_the_users_transforms_json_lines(team: Team) -> None:
    code = (
        "import json\n"
        "def model_fn(model_dir): print('loading'); return 2\n"
        "def input_fn(body, content_type): return [json.loads(line) for line in body.splitlines()]\n"
        "def predict_fn(rows, model): return [row['x'] * model for row in rows]\n"
        "def output_fn(found, accept): return '\\n'.join(map(json.dumps, found)), accept\n"
    )
    team.put("in-e/rows.jsonl", "".join(json.dumps({"id": n, "x": n}) + "\n" for n in range(50)))

    name = transform(
        team,
        script_model(team, code),
        f"s3://{BUCKET}/in-e/",
        f"s3://{BUCKET}/out-e",
        TransformInput={"ContentType": "application/jsonlines"},
        TransformOutput={"Accept": "application/jsonlines"},
        DataProcessing={"JoinSource": "Input", "OutputFilter": "$['id','SageMakerOutput']"},
    )
    completed(team, name)

    (answer,) = outputs(team, "out-e/").values()
    assert [json.loads(line) for line in answer.splitlines()] == [
        {"id": n, "SageMakerOutput": 2 * n} for n in range(50)
    ]
    assert any("loading" in text for text in logged(team, name).values())


def test_a_stopped_job_leaves_no_output_and_is_not_stopped_again(team: Team) -> None:
    code = (
        "import time\n"
        "def model_fn(model_dir): return 1\n"
        "def input_fn(body, content_type): return body\n"
        "def predict_fn(body, model):\n"
        "    print('at work', flush=True)\n"
        "    if 'wait' in body: time.sleep(600)\n"
        "    return body\n"
        "def output_fn(found, accept): return found, 'text/csv'\n"
    )
    team.put("in-f/a.csv", "go\n")
    team.put("in-f/b.csv", "wait\n")
    sagemaker = team.server.client("sagemaker")
    name = transform(team, script_model(team, code), f"s3://{BUCKET}/in-f/", f"s3://{BUCKET}/out-f")
    wait_for(lambda: logged_or_nothing(team, name), lambda found: found.count("at work") == 2)

    sagemaker.stop_transform_job(TransformJobName=name)
    described = ended(team, name)

    assert described["TransformJobStatus"] == "Stopped"
    assert outputs(team, "out-f/") == {}
    with pytest.raises(ClientError, match="because the transform job is in status Stopped"):
        sagemaker.stop_transform_job(TransformJobName=name)


def logged_or_nothing(team: Team, name: str) -> str:
    try:
        return "\n".join(logged(team, name).values())
    except ClientError:
        return ""


def test_jobs_are_listed_tagged_and_refused_twice_in_awss_words(team: Team, model: str) -> None:
    team.put("in-g/a.csv", lines(ROWS[:3]))
    sagemaker = team.server.client("sagemaker")
    given: Mapping[str, Any] = {
        "Tags": [{"Key": "team", "Value": "blue"}],
        "ExperimentConfig": {"ExperimentName": "census"},
    }
    name = transform(team, model, f"s3://{BUCKET}/in-g/a.csv", f"s3://{BUCKET}/out-g", **given)
    described = completed(team, name)

    with pytest.raises(ClientError) as twice:
        transform(team, model, f"s3://{BUCKET}/in-g/a.csv", f"s3://{BUCKET}/out-g", TransformJobName=name)
    with pytest.raises(ClientError) as missing:
        sagemaker.describe_transform_job(TransformJobName="nobody")
    with pytest.raises(ClientError) as unstoppable:
        sagemaker.stop_transform_job(TransformJobName="nobody")

    assert described["ExperimentConfig"] == {"ExperimentName": "census"}
    assert sagemaker.list_tags(ResourceArn=described["TransformJobArn"])["Tags"] == given["Tags"]
    listed = sagemaker.list_transform_jobs(NameContains=name, StatusEquals="Completed")
    (summary,) = [one for one in listed["TransformJobSummaries"] if one["TransformJobName"] == name]
    assert summary["TransformEndTime"] == described["TransformEndTime"]
    assert twice.value.response["Error"]["Code"] == "ResourceInUse"
    assert "a job with this name already exists" in twice.value.response["Error"]["Message"]
    assert missing.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "Could not find requested job with name: nobody",
    }
    assert "Could not find job to update with name: nobody" in str(unstoppable.value)


def test_output_is_encrypted_by_the_key_that_is_asked_for(team: Team, model: str) -> None:
    key = team.server.client("kms").create_key()["KeyMetadata"]["Arn"]
    team.server.client("iam").put_role_policy(
        RoleName="ml",
        PolicyName="key",
        PolicyDocument=json.dumps(
            {"Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": key}], "Version": "2012-10-17"}
        ),
    )
    team.put("in-h/a.csv", lines(ROWS[:3]))

    changes = {"TransformOutput": {"KmsKeyId": key}}
    completed(team, transform(team, model, f"s3://{BUCKET}/in-h/", f"s3://{BUCKET}/out-h", **changes))

    head = team.server.client("s3").head_object(Bucket=BUCKET, Key="out-h/a.csv.out")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
    assert len(outputs(team, "out-h/")["a.csv.out"].splitlines()) == 3


PATIENT = """
import os, pathlib, time
def model_fn(model_dir):
    print("begun in process", os.getpid(), flush=True)
    return pathlib.Path(model_dir)
def transform_fn(model, body, content_type, accept):
    while not (model / "go-on").exists():
        time.sleep(0.05)
    return body, accept
"""


def test_a_job_goes_on_after_kill_9_of_the_server(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data) as first:
        team = Team(first).prepare()
        team.put("in/a.csv", lines(ROWS))
        name = transform(team, script_model(team, PATIENT), f"s3://{BUCKET}/in/", f"s3://{BUCKET}/out")
        wait_for(lambda: logged_or_nothing(team, name), lambda log: "begun in process" in log)

        first.kill()

    with running(data) as second:
        team.server = second
        sagemaker = second.client("sagemaker")
        assert sagemaker.describe_transform_job(TransformJobName=name)["TransformJobStatus"] == "InProgress"
        (folder,) = [path for path in data.glob("work/**/ml/model") if f"/transform-{name}-" in str(path)]
        (folder / "go-on").touch()

        completed(team, name)

        assert outputs(team, "out/") == {"a.csv.out": lines(ROWS).encode()}
        assert logged_or_nothing(team, name).count("begun in process") == 1, (
            "the same process, not another one"
        )
