from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
            }
        ],
    }
)


@pytest.fixture
def iam(cloud: Any) -> Any:
    return cloud.client("iam")


@pytest.fixture
def trust() -> str:
    return TRUST


@pytest.fixture
def refused() -> Callable[..., tuple[str, str]]:
    """Call it and answer (code, message) of the refusal."""

    def call(function: Callable[..., Any], **parameters: Any) -> tuple[str, str]:
        with pytest.raises(ClientError) as refusal:
            function(**parameters)
        error = refusal.value.response["Error"]
        return error["Code"], error["Message"]

    return call
