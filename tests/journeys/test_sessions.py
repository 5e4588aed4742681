"""Keys and sessions hold in every worker, from their first call to their last, and through kill -9."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from colonnade.testing.server import Server, running

CALLS = 12
"""Connections of their own; workers share the socket, so that all of them answer some."""
READ_IAM = "arn:aws:iam::aws:policy/IAMReadOnlyAccess"


def keys(given: dict[str, Any]) -> dict[str, str]:
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given.get("SessionToken", ""),
    }


def assumed(server: Server) -> dict[str, str]:
    """A session of a new role that may read IAM."""
    iam = server.client("iam")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "123456789012"}}
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps({"Statement": trust}))[
        "Role"
    ]
    iam.attach_role_policy(RoleName="reader", PolicyArn=READ_IAM)
    answer = server.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="me")
    return keys(answer["Credentials"])


def test_a_session_holds_everywhere_until_its_rights_are_taken_away(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--workers", "2") as server:
        session = assumed(server)
        for _ in range(CALLS):
            assert len(server.client("iam", **session).list_roles()["Roles"]) == 1
        server.client("iam").detach_role_policy(RoleName="reader", PolicyArn=READ_IAM)
        for _ in range(CALLS):
            with pytest.raises(ClientError, match="AccessDenied"):
                server.client("iam", **session).list_roles()


def test_keys_sessions_and_logs_survive_kill_9(tmp_path: Path) -> None:
    data = tmp_path / "data"
    named = {"logGroupName": "/team", "logStreamName": "s"}
    with running(data) as server:
        session = assumed(server)
        logs = server.client("logs")
        logs.create_log_group(logGroupName="/team")
        logs.create_log_stream(**named)
        now = server.client("iam").get_role(RoleName="reader")["Role"]["CreateDate"]
        event = {"timestamp": int(now.timestamp() * 1000), "message": "acknowledged"}
        logs.put_log_events(**named, logEvents=[event])
        server.kill()
    with running(data) as server:
        who = server.client("sts", **session).get_caller_identity()
        assert who["Arn"] == "arn:aws:sts::123456789012:assumed-role/reader/me"
        assert len(server.client("iam", **session).list_roles()["Roles"]) == 1
        events = server.client("logs").get_log_events(**named)["events"]
        assert [each["message"] for each in events] == ["acknowledged"]
