"""The stories of docs/clients.md, as they stand there, told by each client to a server of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clients.environments import environment, path
from clients.examples import written
from clients.outside import Outside, watched
from colonnade.testing.server import Server, running

STORIES = {
    "aws_cli": ["bash", "story.sh"],
    "javascript": ["node", "story.mjs"],
    "sagemaker_v2": ["python", "story_v2.py"],
    "sagemaker_v3": ["python", "story_v3.py"],
}
SOURCE = Path(__file__).parents[2] / "src"
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("client", STORIES)
def test_a_client_trains_deploys_predicts_and_deletes(client: str, tmp_path: Path) -> None:
    folder = environment(client)
    with running(tmp_path / "data") as server, watched() as outside:
        told = tell(STORIES[client], folder, server, outside, tmp_path / "story")

        likely, unlikely = answers(told, "xgboost")
        assert likely > 0.9
        assert unlikely < 0.1
        assert answers(told, "script") == [1, 0]
        if client == "sagemaker_v2":
            assert answers(told, "batch") == pytest.approx([likely, 1, unlikely, 2], abs=1e-5)
        assert trained(server) == [("script", "Completed"), ("xgboost", "Completed")]
        assert "accuracy=0.99" in script_log(server)
        assert left_over(server) == {}
    assert outside.asked == []


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", ["sagemaker_v2", "sagemaker_v3"])
def test_our_session_reaches_sts_and_uses_the_default_bucket(client: str, tmp_path: Path) -> None:
    folder = environment(client)
    with running(tmp_path / "data") as server, watched() as outside:
        command = ["python", "our_session.py"]
        # Without the file that opts out of telemetry: the session does.
        told = tell(
            command, folder, server, outside, tmp_path / "story", SAGEMAKER_USER_CONFIG_OVERRIDE="/dev/null"
        )

        bucket = "sagemaker-us-east-1-123456789012"
        assert "account 123456789012" in told
        assert f"bucket {bucket}" in told
        (found,) = server.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
        assert (found["Key"], found["Size"]) == ("points/points.csv", 40_000)
    assert outside.asked == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_without_our_session_the_sdk_asks_aws_and_the_watch_sees_it(tmp_path: Path) -> None:
    folder = environment("sagemaker_v2")
    ask = "from sagemaker import Session; Session().default_bucket()"
    refused = pytest.raises(AssertionError, match="ConnectionClosedError")
    with running(tmp_path / "data") as server, watched() as outside, refused:
        tell(["python", "-c", ask], folder, server, outside, tmp_path / "story", AWS_MAX_ATTEMPTS="1")
    assert outside.asked == ["sts.us-east-1.amazonaws.com:443"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_sdk_trusts_the_role_that_it_makes_itself(tmp_path: Path) -> None:
    folder = environment("sagemaker_v3")
    make_and_check = (
        "from sagemaker.core.helper import IamRoleResolver, resolve_and_validate_role as check\n"
        "made = IamRoleResolver().create_execution_role(role_type='training')\n"
        "print(check(made, role_type='training'))"
    )
    with running(tmp_path / "data") as server, watched() as outside:
        told = tell(["python", "-c", make_and_check], folder, server, outside, tmp_path / "story")
        assert "role/SageMaker-AutoRole-Training" in told
        role = server.client("iam").list_attached_role_policies(RoleName="SageMaker-AutoRole-Training")
        assert len(role["AttachedPolicies"]) == 11
    assert outside.asked == []


def tell(
    command: list[str], client: Path, server: Server, outside: Outside, folder: Path, **changes: str
) -> str:
    """Run the command among the page's files, with nothing in its environment but the way to the server."""
    folder.mkdir()
    written(folder)
    subprocess.run([sys.executable, "make_points.py"], cwd=folder, check=True)
    if (client / "node_modules").exists():
        (folder / "node_modules").symlink_to(client / "node_modules")
    ran = subprocess.run(
        command,
        cwd=folder,
        env={
            "PATH": path(client),
            "HOME": str(folder),
            "PYTHONPATH": str(SOURCE),
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(folder / "sagemaker-config.yaml"),
            "AWS_REGION": server.region,
            **server.environment(),
            **outside.environment(),
            **changes,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout[-4000:]}\n{ran.stderr[-8000:]}\noutside: {outside.asked}"
    return ran.stdout


def answers(told: str, endpoint: str) -> list[float]:
    """The numbers of the line that says what the endpoint said."""
    (line,) = re.findall(rf"-{endpoint} says (.*)", told)
    return [float(number) for number in NUMBER.findall(line)]


def trained(server: Server) -> list[tuple[str, str]]:
    jobs = server.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    kinds = {"scikit": "script", "script": "script", "xgboost": "xgboost"}
    return sorted(
        (next(kinds[word] for word in kinds if word in job["TrainingJobName"]), job["TrainingJobStatus"])
        for job in jobs
    )


def script_log(server: Server) -> str:
    events = server.client("logs").filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", filterPattern="accuracy"
    )["events"]
    return "\n".join(event["message"] for event in events)


def left_over(server: Server) -> dict[str, Any]:
    """What a story should have deleted and did not."""
    sagemaker = server.client("sagemaker")
    seen = {
        "endpoints": [
            endpoint["EndpointName"]
            for endpoint in sagemaker.list_endpoints()["Endpoints"]
            if endpoint["EndpointStatus"] != "Deleting"
        ],
        "configurations": sagemaker.list_endpoint_configs()["EndpointConfigs"],
        "models": sagemaker.list_models()["Models"],
        "buckets": server.client("s3").list_buckets()["Buckets"],
        "roles": server.client("iam").list_roles()["Roles"],
    }
    return {name: found for name, found in seen.items() if found}
