"""Training jobs that really run: what they see, what they leave, how they end."""

from __future__ import annotations

import json
import os
import signal
from itertools import pairwise
from pathlib import Path

from colonnade.executors import Phase
from colonnade.kernel.store.memory import MemoryStore
from colonnade.testing.executor import tar, wait_until
from colonnade.testing.stage import DictionaryStorage, Stage, running

CHANNEL = {
    "ChannelName": "train",
    "ContentType": "text/csv",
    "DataSource": {
        "S3DataSource": {
            "S3DataType": "S3Prefix",
            "S3Uri": "s3://data/train/",
            "S3DataDistributionType": "FullyReplicated",
        }
    },
}
WAIT = (
    "import os, signal, sys, time\n"
    "def end(*_): open(os.environ['SM_MODEL_DIR'] + '/saved', 'w').write('half'); sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, end); print('ready', flush=True)\n"
    "while True: time.sleep(1)"
)


def statuses(description: object) -> list[str]:
    assert isinstance(description, dict)
    return [entry["Status"] for entry in description["SecondaryStatusTransitions"]]


def wait_for_line(stage: Stage, line: str, name: str = "job-1") -> None:
    def there() -> bool:
        try:
            return line in stage.printed(name)
        except (IndexError, FileNotFoundError):
            return False

    wait_until(there, f"{name} printing {line!r}")


def test_a_script_trains_on_its_channel_and_leaves_a_model(stage: Stage) -> None:
    stage.storage.objects |= {("data", "train/a.csv"): b"1,2\n", ("data", "train/deep/b.csv"): b"3,4\n"}
    code = (
        "import argparse, os, pathlib\n"
        "p = argparse.ArgumentParser(); p.add_argument('--max-depth', type=int); a = p.parse_args()\n"
        "train = pathlib.Path(os.environ['SM_CHANNEL_TRAIN'])\n"
        "text = ''.join(f.read_text() for f in sorted(train.rglob('*.csv')))\n"
        "print(f'depth={a.max_depth} rows={len(text.splitlines())}')\n"
        "print('validation-rmse: 0.5'); print('validation-rmse: 0.25')\n"
        "open(os.environ['SM_MODEL_DIR'] + '/model.txt', 'w').write(text)\n"
        "os.makedirs(os.environ['SM_OUTPUT_DATA_DIR'], exist_ok=True)\n"
        "open(os.environ['SM_OUTPUT_DATA_DIR'] + '/plot', 'w').write('p')"
    )
    stage.run_script(
        code,
        InputDataConfig=[CHANNEL],
        HyperParameters={"max-depth": "3"},
        AlgorithmSpecification={
            "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "rmse", "Regex": "validation-rmse: ([0-9.]+)"}],
        },
    )
    job = stage.ended()
    assert job["TrainingJobStatus"] == "Completed", job
    assert statuses(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    times = [(entry["StartTime"], entry["EndTime"]) for entry in job["SecondaryStatusTransitions"]]
    assert all(one[1] == two[0] for one, two in pairwise(times))
    assert times == sorted(times)
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": "s3://out/models/job-1/output/model.tar.gz"}
    assert stage.archive() == {"model.txt": b"1,2\n3,4\n"}
    assert stage.archive("models/job-1/output/output.tar.gz") == {"plot": b"p"}
    [metric] = job["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("rmse", 0.25)
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] >= 1
    assert "depth=3 rows=2" in stage.printed()
    assert stage.printed()[0].startswith("scikit-learn ")


def test_without_file_channels_there_is_no_downloading_and_without_output_no_archive(stage: Stage) -> None:
    stage.run_script("print('hi')")
    job = stage.ended()
    assert statuses(job) == ["Starting", "Training", "Uploading", "Completed"]
    assert sorted(key for bucket, key in stage.storage.objects if bucket == "out") == [
        "models/job-1/output/model.tar.gz"
    ]
    assert stage.archive() == {}


def test_uncompressed_models_are_uploaded_file_by_file(stage: Stage) -> None:
    stage.run_script(
        "import os; os.mkdir('/opt/ml/model/a') if os.path.isdir('/opt/ml') else None\n"
        "open(os.environ['SM_MODEL_DIR'] + '/b', 'w').write('B')",
        OutputDataConfig={"S3OutputPath": "s3://out/models/", "CompressionType": "NONE"},
    )
    job = stage.ended()
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == "s3://out/models/job-1/output/model/"
    assert stage.storage.objects["out", "models/job-1/output/model/b"] == b"B"


def test_a_failing_script_tells_its_error_and_command(stage: Stage) -> None:
    stage.run_script("import sys; print('before'); raise ValueError('no such column: x')")
    job = stage.ended()
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    reason = job["FailureReason"]
    assert reason.startswith('AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "Traceback')
    assert "ValueError: no such column: x" in reason
    assert reason.endswith('train.py", exit code: 1')
    assert "ModelArtifacts" not in job
    assert "before" in stage.printed()


def test_a_failure_file_is_kept_and_cut(stage: Stage) -> None:
    code = "import os; open(os.environ['SM_OUTPUT_DIR'] + '/failure', 'w').write({!r}); raise SystemExit(3)"
    stage.run_script(code.format("x" * 2000), name="long")
    stage.run_script(code.format("ClientError: bad column"), name="client")
    assert stage.ended("client")["FailureReason"] == "ClientError: bad column"
    reason = stage.ended("long")["FailureReason"]
    assert len(reason) == 1024
    assert reason.startswith("AlgorithmError: xxx")
    assert reason.endswith(", exit code: 1")


def test_an_entrypoint_of_the_requests_replaces_train(stage: Stage) -> None:
    image = "sagemaker-xgboost:1.7-1"
    entry = {"ContainerEntrypoint": ["/bin/bash"], "ContainerArguments": ["-c", "echo $COLOUR; exit 127"]}
    stage.train(
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"} | entry,
        Environment={"COLOUR": "red"},
    )
    assert stage.ended()["FailureReason"] == "AlgorithmError: , exit code: 127"
    assert stage.printed() == ["red"]


def test_configuration_files_are_as_the_contract_says(stage: Stage) -> None:
    stage.storage.objects["data", "train/a.csv"] = b"1\n"
    code = (
        "import os, pathlib\n"
        "for p in sorted(pathlib.Path(os.environ['SM_INPUT_CONFIG_DIR']).iterdir()): print(p.name, p.read_text())\n"
        "print('JOB', os.environ['TRAINING_JOB_NAME'], os.environ['TRAINING_JOB_ARN'], os.environ['EXTRA'])"
    )
    stage.run_script(
        code, InputDataConfig=[CHANNEL], HyperParameters={"eta": "0.1"}, Environment={"EXTRA": "1"}
    )
    assert stage.ended()["TrainingJobStatus"] == "Completed"
    files = {line.partition(" ")[0]: line.partition(" ")[2] for line in stage.printed() if ".json {" in line}
    assert json.loads(files["hyperparameters.json"])["eta"] == "0.1"
    assert json.loads(files["inputdataconfig.json"]) == {
        "train": {
            "ContentType": "text/csv",
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    }
    resources = json.loads(files["resourceconfig.json"])
    assert (resources["current_host"], resources["hosts"], resources["current_instance_type"]) == (
        "algo-1", ["algo-1"], "ml.m5.large",
    )  # fmt: skip
    assert "JOB job-1 arn:aws:sagemaker:us-east-1:123456789012:training-job/job-1 1" in stage.printed()


def test_a_pipe_channel_streams(stage: Stage) -> None:
    stage.storage.objects |= {("data", "train/a"): b"one,", ("data", "train/b"): b"two"}
    channel = CHANNEL | {"InputMode": "Pipe"}
    code = "import os; print(open(os.environ['SM_CHANNEL_TRAIN'] + '_0').read(), os.path.exists(os.environ['SM_CHANNEL_TRAIN']))"
    stage.run_script(code, InputDataConfig=[channel])
    assert statuses(stage.ended()) == ["Starting", "Training", "Uploading", "Completed"]
    assert "one,two False" in stage.printed()


def test_an_augmented_manifest_streams_its_attributes(stage: Stage) -> None:
    rows = [{"image-ref": f"s3://data/{n}.png", "label": n, "unused": 1} for n in (1, 2)]
    stage.storage.objects |= {
        ("data", "manifest"): "\n".join(map(json.dumps, rows)).encode(),
        ("data", "1.png"): b"PNG1",
        ("data", "2.png"): b"PNG2",
    }
    source = {
        "S3DataType": "AugmentedManifestFile", "S3Uri": "s3://data/manifest", "AttributeNames": ["image-ref", "label"],
    }  # fmt: skip
    channel = {"ChannelName": "train", "InputMode": "Pipe", "DataSource": {"S3DataSource": source}}
    stage.run_script(
        "import os; print(open(os.environ['SM_CHANNEL_TRAIN'] + '_0').read())", InputDataConfig=[channel]
    )
    assert stage.ended()["TrainingJobStatus"] == "Completed"
    assert "PNG11PNG22" in stage.printed()


def test_a_manifest_names_its_files(stage: Stage) -> None:
    stage.storage.objects |= {
        ("data", "list.json"): json.dumps([{"prefix": "s3://data/deep/"}, "a/x.csv", "y.csv"]).encode(),
        ("data", "deep/a/x.csv"): b"X",
        ("data", "deep/y.csv"): b"Y",
        ("data", "deep/z.csv"): b"Z",
    }
    source = {"S3DataType": "ManifestFile", "S3Uri": "s3://data/list.json"}
    code = (
        "import os, pathlib; root = pathlib.Path(os.environ['SM_CHANNEL_TRAIN'])\n"
        "print(sorted(str(p.relative_to(root)) for p in root.rglob('*') if p.is_file()))"
    )
    stage.run_script(code, InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}])
    stage.ended()
    assert "['a/x.csv', 'y.csv']" in stage.printed()


def test_data_that_vanished_fails_the_download(stage: Stage) -> None:
    stage.storage.objects["data", "list.json"] = json.dumps([{"prefix": "s3://data/"}, "gone.csv"]).encode()
    source = {"S3DataType": "ManifestFile", "S3Uri": "s3://data/list.json"}
    stage.run_script("", InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}])
    job = stage.ended()
    assert job["FailureReason"].startswith(
        "ClientError: Data download failed: channel train, s3://data/list.json: NoSuchKey"
    )


def test_a_key_that_cannot_be_a_file_fails_the_download(stage: Stage) -> None:
    stage.storage.objects |= {("data", "train/../../x"): b"1", ("data", "train/y"): b"2"}
    stage.run_script("", InputDataConfig=[CHANNEL])
    reason = stage.ended()["FailureReason"]
    assert reason.startswith("ClientError: Data download failed: ")
    assert "../../x" in reason


def test_a_missing_program_archive_fails_the_download(stage: Stage) -> None:
    stage.train(
        HyperParameters={"sagemaker_program": "a.py", "sagemaker_submit_directory": "s3://code/none.tar.gz"}
    )
    assert "sagemaker_submit_directory, s3://code/none.tar.gz" in stage.ended()["FailureReason"]


def test_a_script_image_without_a_program_says_how_to_name_one(stage: Stage) -> None:
    stage.train()
    reason = stage.ended()["FailureReason"]
    assert reason.startswith("AlgorithmError: Framework Error:")
    assert "sagemaker_program" in reason


def test_requirements_that_cannot_be_installed_fail_the_job(stage: Stage) -> None:
    stage.run_script("", requirements="--no-index\nno-such-package-anywhere\n")
    reason = stage.ended()["FailureReason"]
    assert reason.startswith('AlgorithmError: InstallRequirementsError:\nExitCode 1\nErrorMessage "ERROR: ')
    assert reason.endswith(", exit code: 1")


def test_a_stopped_job_keeps_what_it_saved(stage: Stage) -> None:
    stage.run_script(WAIT)
    wait_for_line(stage, "ready")
    stage.call("StopTrainingJob", TrainingJobName="job-1")
    job = stage.ended()
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert statuses(job) == ["Starting", "Training", "Stopping", "Stopped"]
    assert stage.archive() == {"saved": b"half"}
    assert "FailureReason" not in job


def test_a_job_that_runs_too_long_is_stopped_and_keeps_what_it_saved(stage: Stage) -> None:
    # The limit is in real time, of which a busy machine may need much to let a script begin at all.
    for limit in (1, 5, 25):
        name = stage.run_script(WAIT, f"limit-{limit}", StoppingCondition={"MaxRuntimeInSeconds": limit})
        job = stage.ended(name)
        assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
        kept = stage.archive(f"models/{name}/output/model.tar.gz")
        if kept:
            break
    assert kept == {"saved": b"half"}


def test_a_killed_runner_fails_the_job_honestly(stage: Stage) -> None:
    stage.run_script(WAIT)
    wait_for_line(stage, "ready")
    [work_id] = stage.executor.known()
    state = json.loads(stage.executor._folder(work_id).state.read_bytes())
    os.kill(state["runner"], signal.SIGKILL)
    job = stage.ended()
    assert job["FailureReason"] == "InternalServerError: The process that supervised this work was killed."


def test_work_that_is_gone_from_its_executor_fails_the_job(stage: Stage) -> None:
    stage.run_script(WAIT)
    wait_for_line(stage, "ready")
    [work_id] = stage.executor.known()
    stage.executor.forget(work_id)
    assert stage.ended()["FailureReason"].startswith("InternalServerError: ")


def test_a_restarted_platform_goes_on_with_the_running_job(tmp_path: Path) -> None:
    store, storage = MemoryStore(), DictionaryStorage()
    code = (
        "import os, time\nprint('ready', flush=True)\n"
        "while not os.path.exists(os.environ['SM_MODEL_DIR'] + '/go'): time.sleep(0.01)\n"
        "print('went on')"
    )
    first = running(tmp_path, store, storage)
    stage = first.__enter__()
    stage.run_script(code)
    wait_for_line(stage, "ready")
    first._driver.stop()
    [work_id] = stage.executor.known()
    (stage.executor._folder(work_id).ml / "model" / "go").touch()
    wait_until(
        lambda: stage.executor.observe(work_id).phase is Phase.ENDED, "the work ending without a server"
    )
    with running(tmp_path, store, storage) as again:
        assert again.ended()["TrainingJobStatus"] == "Completed"
        assert [line for line in again.printed() if line in ("ready", "went on")] == ["ready", "went on"]


def test_checkpoints_are_restored_and_kept_in_step(stage: Stage) -> None:
    stage.storage.objects |= {("ck", "run/old"): b"1", ("ck", "run/gone"): b"2"}
    code = (
        "import os\n"
        "base = os.environ.get('SAGEMAKER_BASE_DIR', '/opt/ml') + '/checkpoints'\n"
        "print(sorted(os.listdir(base)), flush=True)\n"
        "open(base + '/new', 'w').write('3'); open(base + '/x.sagemaker-ignore', 'w').close()\n"
        "input_ = os.environ['SM_MODEL_DIR']\n"
        "import time\n"
        "while not os.path.exists(input_ + '/go'): time.sleep(0.01)\n"
        "os.remove(base + '/gone')"
    )
    stage.run_script(code, CheckpointConfig={"S3Uri": "s3://ck/run"})
    wait_until(
        lambda: ("ck", "run/new") in stage.storage.objects, "the new checkpoint in S3 while the job runs"
    )
    [work_id] = stage.executor.known()
    (stage.executor._folder(work_id).ml / "model" / "go").touch()
    assert stage.ended()["TrainingJobStatus"] == "Completed"
    assert "['gone', 'old']" in stage.printed()
    assert {key: data for (bucket, key), data in stage.storage.objects.items() if bucket == "ck"} == {
        "run/old": b"1", "run/new": b"3",
    }  # fmt: skip


def test_an_output_that_may_not_be_written_fails_the_job(stage: Stage) -> None:
    stage.run_script("print('hi')", OutputDataConfig={"S3OutputPath": "s3://forbidden/x"})
    assert stage.ended()["FailureReason"].startswith("ClientError: Artifact upload failed: AccessDenied")


def test_jobs_are_listed_by_status_and_deleted_when_they_have_ended(stage: Stage) -> None:
    stage.run_script("print('hi')", name="good")
    stage.run_script("raise SystemExit(1)", name="bad")
    stage.ended("good"), stage.ended("bad")
    listed = stage.call("ListTrainingJobs", StatusEquals="Failed")["TrainingJobSummaries"]
    assert [row["TrainingJobName"] for row in listed] == ["bad"]
    assert listed[0]["TrainingJobStatus"] == "Failed"
    stage.call("DeleteTrainingJob", TrainingJobName="bad")
    assert [row["TrainingJobName"] for row in stage.call("ListTrainingJobs")["TrainingJobSummaries"]] == [
        "good"
    ]


def test_a_shell_program_gets_its_arguments(stage: Stage) -> None:
    stage.storage.objects["code", "p.tar.gz"] = tar({"run.sh": b"echo args: $@; exit 0"})
    stage.train(
        HyperParameters={
            "sagemaker_program": "run.sh",
            "sagemaker_submit_directory": "s3://code/p.tar.gz",
            "a": "b c",
        }
    )
    assert stage.ended()["TrainingJobStatus"] == "Completed"
    assert "args: -a b c" in stage.printed()
