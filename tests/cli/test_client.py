"""The commands' own signer, compared with botocore's."""

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from colonnade.cli.client import Client
from colonnade.cli.terminal import CommandError
from colonnade.credentials import RootCredentials


@pytest.mark.parametrize("service", ["sagemaker", "logs"])
def test_a_request_is_signed_as_botocore_signs_it(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"MaxResults": 100}'
    client = Client("http://127.0.0.1:4566", RootCredentials("AKIAEXAMPLE", "se/cr+et"), "eu-west-1")

    ours = client._headers(
        service, body, "application/x-amz-json-1.1", {"x-amz-target": "Service.ListThings"}
    )

    theirs = AWSRequest("POST", "http://127.0.0.1:4566/", data=body)
    for name in ("content-type", "host", "x-amz-target"):
        theirs.headers[name] = ours[name]
    theirs.context["timestamp"] = ours["x-amz-date"]
    signer = SigV4Auth(Credentials("AKIAEXAMPLE", "se/cr+et"), service, "eu-west-1")
    theirs.headers["x-amz-date"] = ours["x-amz-date"]
    to_sign = signer.string_to_sign(theirs, signer.canonical_request(theirs))
    assert ours["authorization"].endswith(f"Signature={signer.signature(to_sign, theirs)}")


def test_no_answer_is_told_as_such_with_the_address() -> None:
    client = Client("http://127.0.0.1:1", RootCredentials("a", "b"), "us-east-1")

    with pytest.raises(CommandError, match=r"127\.0\.0\.1:1 gave no answer to ListEndpoints") as refusal:
        client.call("sagemaker", "ListEndpoints", {})

    assert refusal.value.code == 3
