"""kill -9 of everything: what was acknowledged is there, what ran goes on, what served serves again."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from colonnade.testing.server import running
from journeys.team import BUCKET, SCIKIT_LEARN, Team, wait_for

PATIENT = """
import os, time
print("begun in process", os.getpid(), flush=True)
while not os.path.exists(os.path.join(os.environ["SM_MODEL_DIR"], "go-on")):
    time.sleep(0.05)
open(os.path.join(os.environ["SM_MODEL_DIR"], "weights"), "w").write("trained")
print("ended", flush=True)
"""

STEADY = """
import json, os
def model_fn(model_dir):
    return open(os.path.join(model_dir, "weights")).read()
def predict_fn(data, model):
    return [model, os.getpid()]
def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""

QUICK = """
import os
open(os.path.join(os.environ["SM_MODEL_DIR"], "weights"), "w").write("trained")
"""


def sources(team: Team, **files: str) -> str:
    """The URI of a sourcedir.tar.gz of Python files by module name."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"{name}.py")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return team.put(f"code/{team.name('source')}/sourcedir.tar.gz", packed.getvalue())


def script(team: Team, text: str) -> str:
    """Start a training job in script mode; answers its name."""
    return team.train(
        AlgorithmSpecification={"TrainingImage": SCIKIT_LEARN, "TrainingInputMode": "File"},
        HyperParameters={
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": f'"{sources(team, train=text)}"',
        },
    )


def test_what_ran_goes_on_and_what_served_serves_again_after_kill_9_of_the_server(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data) as first:
        team = Team(first).prepare()
        job = team.train()
        assert team.ended(job)["TrainingJobStatus"] == "Completed"
        endpoint = team.deploy(team.model(job))
        patient = script(team, PATIENT)
        wait_for(lambda: team.log(patient), lambda log: "begun in process" in log)
        team.put("acknowledged", b"bytes" * 1000)

        first.kill()

    with running(data) as second:
        team.server = second
        stored = second.client("s3").get_object(Bucket=BUCKET, Key="acknowledged")["Body"].read()
        assert stored == b"bytes" * 1000

        team.in_service(endpoint)
        runtime = second.client("sagemaker-runtime")

        def serves() -> bool:
            try:
                answer = runtime.invoke_endpoint(
                    EndpointName=endpoint, ContentType="text/csv", Body="0.9,0.1"
                )
            except runtime.exceptions.ServiceUnavailable:
                return False
            return float(answer["Body"].read()) > 0.5

        assert wait_for(serves, bool)

        sagemaker = second.client("sagemaker")
        described = sagemaker.describe_training_job(TrainingJobName=patient)
        assert described["TrainingJobStatus"] == "InProgress", described.get("FailureReason")
        (folder,) = [path for path in data.glob("work/**/model") if patient in str(path)]
        (folder / "go-on").touch()
        described = team.ended(patient)
        assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
        log = team.log(patient)
        assert log.count("begun in process") == 1, "the same process, not another one"
        assert log.count("ended") == 1


def test_a_killed_replica_is_replaced_while_calls_keep_succeeding(team: Team) -> None:
    job = script(team, QUICK)
    assert team.ended(job)["TrainingJobStatus"] == "Completed"
    environment = {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": sources(team, inference=STEADY),
    }
    endpoint = team.deploy(team.model(job, SCIKIT_LEARN, environment))
    runtime = team.server.client("sagemaker-runtime")

    def serving_process() -> int:
        answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body="1,2")
        trained, pid = json.loads(answer["Body"].read())
        assert trained == "trained"
        return int(pid)

    before = serving_process()
    os.kill(before, signal.SIGKILL)
    seen = {serving_process() for _ in range(20)}

    assert before not in seen
    assert len(seen) == 1


def test_a_compiled_model_that_takes_a_worker_down_goes_on_in_a_process_of_its_own(team: Team) -> None:
    job = team.train()
    assert team.ended(job)["TrainingJobStatus"] == "Completed"
    endpoint = team.deploy(team.model(job))
    server = team.server
    runtime = server.client("sagemaker-runtime")
    notes = server.data / "run" / "predicting"

    def predicting() -> list[int]:
        """Workers that are in the middle of a prediction."""
        return [int(path.name) for path in notes.iterdir() if path.name.isdigit() and _noted(path)]

    def ask_for_long() -> None:
        """More rows than are predicted in a moment; the worker falls under it, so nothing comes back."""
        with contextlib.suppress(BotoCoreError, ClientError):
            runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body="0.9,0.1\n" * 700_000)

    with ThreadPoolExecutor(1) as one:
        asked = one.submit(ask_for_long)
        (worker,) = wait_for(predicting, bool)
        os.kill(worker, signal.SIGSEGV)
        asked.result(120)

    def natively() -> bool:
        """A process of its own has taken over."""
        return any("endpoint-" in path.name for path in server.data.glob("work/**/*"))

    wait_for(natively, bool)

    def score() -> float:
        try:
            answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body="0.9,0.1")
        except (BotoCoreError, ClientError):
            return 0.0
        return float(answer["Body"].read())

    assert wait_for(score, lambda found: found > 0.5)
    assert list(server.data.glob("models/*/compiled-xgboost/crashed"))
    team.in_service(endpoint)


def _noted(path: Path) -> bool:
    """As the server's `crashes` writes it: a place for each thread, the first byte of which counts."""
    notes = path.read_bytes()
    return any(notes[place] for place in range(0, len(notes), 1024))
