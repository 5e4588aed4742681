"""Script mode as a training image runs it, in a folder of the test's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SOURCE = str(Path(__file__).parents[2] / "src")
DUMP = "import json, os, sys; print('DUMP', json.dumps([dict(os.environ), sys.argv]))"


@dataclass
class Job:
    base: Path

    def run(
        self,
        files: Mapping[str, str],
        hyperparameters: Mapping[str, Any] | None = None,
        program: str = "train.py",
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        for path, text in files.items():
            (self.base / "code" / path).parent.mkdir(parents=True, exist_ok=True)
            (self.base / "code" / path).write_text(text)
        named = {"sagemaker_program": json.dumps(program)} if program else {}
        self.configure("hyperparameters", named | dict(hyperparameters or {}))
        return subprocess.run(
            [sys.executable, "-m", "colonnade.runtimes.toolkit", "scikit-learn", "1.2-1", "script"],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": SOURCE, "SAGEMAKER_BASE_DIR": str(self.base)} | variables,
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def configure(self, name: str, value: object) -> None:
        folder = self.base / "input" / "config"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(value))

    def failure(self) -> str:
        return (self.base / "output" / "failure").read_text()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    made = Job(tmp_path / "ml")
    made.configure(
        "resourceconfig",
        {
            "current_host": "algo-1", "hosts": ["algo-1"], "current_instance_type": "ml.m5.large",
            "current_group_name": "g", "network_interface_name": "eth0",
            "instance_groups": [{"instance_group_name": "g", "instance_type": "ml.m5.large", "hosts": ["algo-1"]}],
        },
    )  # fmt: skip
    made.configure("inputdataconfig", {"train": {"TrainingInputMode": "File"}, "a-test": {}})
    return made


def dumped(done: subprocess.CompletedProcess[str]) -> tuple[dict[str, str], list[str]]:
    [line] = [line for line in done.stdout.splitlines() if line.startswith("DUMP ")]
    variables, words = json.loads(line.removeprefix("DUMP "))
    return variables, words


def test_a_program_gets_its_arguments_and_variables(job: Job) -> None:
    given = {
        "learning-rate": "0.1", "e": "5", "name": '"net"', "plain": "text", "flag": "true", "grid": '{"b": 1, "a": 2}',
        "list": "[1, 2]", "sagemaker_region": '"eu-west-1"', "sagemaker_job_name": '"j"',
        "sagemaker_submit_directory": '"s3://b/s.tar.gz"', "sagemaker_container_log_level": "10",
        "sagemaker_mpi_enabled": "true", "_tuning_objective_metric": '"auc"',
    }  # fmt: skip
    done = job.run({"train.py": DUMP}, given, TRAINING_JOB_NAME="j")
    assert done.returncode == 0, done.stderr
    variables, words = dumped(done)
    user = {
        "e": 5,
        "flag": True,
        "grid": {"a": 2, "b": 1},
        "learning-rate": 0.1,
        "list": [1, 2],
        "name": "net",
        "plain": "text",
    }
    expected_words = [
        "-e", "5", "--flag", "True", "--grid", "a=2,b=1", "--learning-rate", "0.1", "--list", "[1, 2]", "--name", "net",
        "--plain", "text",
    ]  # fmt: skip
    assert words == ["train.py", *expected_words]
    base = str(job.base)
    assert {
        name: value
        for name, value in variables.items()
        if name.startswith("SM_") and name != "SM_TRAINING_ENV"
    } == {
        "SM_MODEL_DIR": f"{base}/model",
        "SM_INPUT_DIR": f"{base}/input",
        "SM_INPUT_CONFIG_DIR": f"{base}/input/config",
        "SM_OUTPUT_DIR": f"{base}/output",
        "SM_OUTPUT_DATA_DIR": f"{base}/output/data",
        "SM_OUTPUT_INTERMEDIATE_DIR": f"{base}/output/intermediate",
        "SM_CHANNELS": '["a-test","train"]',
        "SM_CHANNEL_TRAIN": f"{base}/input/data/train",
        "SM_CHANNEL_A-TEST": f"{base}/input/data/a-test",
        "SM_HPS": json.dumps(user, sort_keys=True, separators=(",", ":")),
        "SM_HP_E": "5",
        "SM_HP_FLAG": "true",
        "SM_HP_GRID": '{"a":2,"b":1}',
        "SM_HP_LEARNING-RATE": "0.1",
        "SM_HP_LIST": "[1,2]",
        "SM_HP_NAME": "net",
        "SM_HP_PLAIN": "text",
        "SM_USER_ARGS": json.dumps(expected_words, separators=(",", ":")),
        "SM_CURRENT_HOST": "algo-1",
        "SM_HOSTS": '["algo-1"]',
        "SM_NETWORK_INTERFACE_NAME": "eth0",
        "SM_CURRENT_INSTANCE_TYPE": "ml.m5.large",
        "SM_CURRENT_INSTANCE_GROUP": "g",
        "SM_CURRENT_INSTANCE_GROUP_HOSTS": '["algo-1"]',
        "SM_INSTANCE_GROUPS": '["g"]',
        "SM_INSTANCE_GROUPS_DICT": '{"g":{"hosts":["algo-1"],"instance_group_name":"g","instance_type":"ml.m5.large"}}',
        "SM_DISTRIBUTION_INSTANCE_GROUPS": "[]",
        "SM_IS_HETERO": "false",
        "SM_NUM_CPUS": str(len(os.sched_getaffinity(0))),
        "SM_NUM_GPUS": str(len(list(Path("/dev").glob("nvidia[0-9]*")))),
        "SM_NUM_NEURONS": "0",
        "SM_RESOURCE_CONFIG": json.dumps(
            json.loads((job.base / "input/config/resourceconfig.json").read_text()),
            sort_keys=True,
            separators=(",", ":"),
        ),
        "SM_INPUT_DATA_CONFIG": '{"a-test":{},"train":{"TrainingInputMode":"File"}}',
        "SM_USER_ENTRY_POINT": "train.py",
        "SM_MODULE_NAME": "train",
        "SM_MODULE_DIR": "s3://b/s.tar.gz",
        "SM_FRAMEWORK_MODULE": "sagemaker_sklearn_container.training:main",
        "SM_FRAMEWORK_PARAMS": '{"sagemaker_mpi_enabled":true}',
        "SM_LOG_LEVEL": "10",
    }
    assert json.loads(variables["SM_TRAINING_ENV"])["hyperparameters"] == user
    assert json.loads(variables["SM_TRAINING_ENV"])["job_name"] == "j"
    assert (variables["SAGEMAKER_REGION"], variables["SAGEMAKER_JOB_NAME"], variables["CURRENT_HOST"]) == (
        "eu-west-1", "j", "algo-1",
    )  # fmt: skip
    assert variables["PYTHONPATH"].startswith(f"{base}/code:")
    assert (job.base / "output" / "success").exists()


def test_the_variable_names_the_program_before_the_hyperparameter(job: Job) -> None:
    done = job.run({"a.py": "print('a')", "b.py": "print('b')"}, program="a.py", SAGEMAKER_PROGRAM="b.py")
    assert done.stdout.splitlines()[-1] == "b"


def test_a_shell_program_is_made_executable_and_run(job: Job) -> None:
    done = job.run(
        {"run.sh": '#!/bin/sh\necho "$# $2"', "setup.py": "raise SystemExit(9)"},
        {"a": "x y"},
        program="run.sh",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "2 x y"


def test_what_is_neither_python_nor_shell_is_a_command(job: Job) -> None:
    done = job.run({"tool": "#!/bin/sh\necho tool $1"}, {"k": "1"}, program="tool")
    assert done.stdout.splitlines()[-1] == "tool -k"


def test_a_program_may_lie_in_a_local_folder(job: Job, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "train.py").write_text("print('from elsewhere')")
    done = job.run({}, {"sagemaker_submit_directory": str(tmp_path / "elsewhere")})
    assert done.stdout.splitlines()[-1] == "from elsewhere"


def test_a_failing_program_leaves_class_code_error_and_command(job: Job) -> None:
    done = job.run(
        {"train.py": "import sys; print('note', file=sys.stderr); raise KeyError('column')"}, {"a": "1"}
    )
    assert done.returncode == 1
    kind, code, *message, command = job.failure().split("\n")
    assert (kind, code) == ("ExecuteUserScriptError:", "ExitCode 1")
    assert message[0] == 'ErrorMessage "Traceback (most recent call last):'
    assert message[-1] == "KeyError: 'column'\""
    assert command.startswith('Command "')
    assert command.endswith('train.py -a 1"')
    assert "note" in done.stderr


def test_a_program_without_a_traceback_fails_with_its_last_lines(job: Job) -> None:
    job.run({"train.py": "import sys; print('wrong data', file=sys.stderr); sys.exit(5)"})
    assert job.failure().startswith(
        'ExecuteUserScriptError:\nExitCode 5\nErrorMessage "wrong data"\nCommand "'
    )


def test_a_long_error_keeps_its_end_and_the_command(job: Job) -> None:
    job.run({"train.py": "raise ValueError('x' * 5000 + 'the end')"})
    assert 'the end"\nCommand' in job.failure()
    assert len(job.failure()) < 1000


def test_the_programs_own_failure_text_is_left_alone(job: Job) -> None:
    (job.base / "output").mkdir()
    done = job.run({"train.py": f"open('{job.base}/output/failure', 'w').write('mine'); raise SystemExit(1)"})
    assert done.returncode == 1
    assert job.failure() == "mine"


def test_without_a_program_the_framework_says_how_to_name_one(job: Job) -> None:
    done = job.run({}, program="")
    assert done.returncode == 1
    assert job.failure().startswith("Framework Error:")
    assert "sagemaker_program" in job.failure()


def test_requirements_that_are_there_already_are_not_installed_again(job: Job) -> None:
    import hashlib

    text = "--no-index\nno-such-package-anywhere\n"
    files = {"train.py": "print('ran')", "requirements.txt": text}
    done = job.run(files, COLONNADE_REQUIREMENTS=hashlib.sha256(text.encode()).hexdigest())
    assert done.stdout.splitlines()[-1] == "ran"
    done = job.run(files)
    assert done.returncode == 1
    assert job.failure().startswith("InstallRequirementsError:\nExitCode 1\n")


def test_a_background_process_does_not_hold_the_job(job: Job) -> None:
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], stdout=subprocess.DEVNULL)\n"
        "print(p.pid)"
    )
    begun = time.monotonic()
    done = job.run({"train.py": code})
    os.kill(int(done.stdout.splitlines()[-1]), signal.SIGKILL)
    assert done.returncode == 0
    assert time.monotonic() - begun < 300
