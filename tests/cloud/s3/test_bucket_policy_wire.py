"""Bucket policies beside IAM's, as two users and the root of an account meet them, over two workers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from colonnade.testing.server import Server, running

ALL_OF_S3 = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
ANN, BOB = ("arn:aws:iam::123456789012:user/ann", "arn:aws:iam::123456789012:user/bob")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("policies") / "data", "--workers", "2") as server:
        yield server


@pytest.fixture(scope="module")
def root(server: Server) -> Any:
    return server.client("s3")


@pytest.fixture(scope="module")
def ann(server: Server) -> Any:
    """May nothing by herself."""
    return user(server, "ann")


@pytest.fixture(scope="module")
def bob(server: Server) -> Any:
    """May all of S3."""
    return user(server, "bob", ALL_OF_S3)


def user(server: Server, name: str, *statements: Mapping[str, Any]) -> Any:
    iam = server.client("iam")
    iam.create_user(UserName=name)
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return server.client(
        "s3", aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"]
    )


@pytest.fixture
def bucket(root: Any, request: pytest.FixtureRequest) -> str:
    name = "b-" + hashlib.md5(request.node.nodeid.encode()).hexdigest()
    root.create_bucket(Bucket=name)
    root.put_object(Bucket=name, Key="k", Body=b"x")
    return name


def statement(bucket: str, effect: str, who: Any, *actions: str, **more: Any) -> dict[str, Any]:
    both = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    return {"Effect": effect, "Principal": who, "Action": list(actions), "Resource": both, **more}


def put(root: Any, bucket: str, *statements: Mapping[str, Any]) -> None:
    root.put_bucket_policy(
        Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    )


def allowed(call: Any, **parameters: Any) -> bool:
    try:
        call(**parameters)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 403:
            raise
        return False
    return True


def test_a_policy_lets_in_whom_iam_does_not(root: Any, ann: Any, bucket: str) -> None:
    asked = {"Bucket": bucket, "Key": "k"}
    assert not allowed(ann.get_object, **asked)

    put(root, bucket, statement(bucket, "Allow", {"AWS": ANN}, "s3:GetObject"))

    # Each of these may meet another worker: the policy holds in all of them once it was taken.
    assert all(allowed(ann.get_object, **asked) for _ in range(20))
    assert not allowed(ann.put_object, **asked, Body=b"y")
    assert not allowed(ann.list_objects_v2, Bucket=bucket)
    root.delete_bucket_policy(Bucket=bucket)
    assert not any(allowed(ann.get_object, **asked) for _ in range(20))


def test_a_deny_wins_over_iam_and_over_root(root: Any, bob: Any, bucket: str) -> None:
    asked = {"Bucket": bucket, "Key": "k"}
    assert allowed(bob.get_object, **asked)

    put(root, bucket, statement(bucket, "Deny", "*", "s3:*"))

    for who in (bob, root):
        assert not allowed(who.get_object, **asked)
        assert not allowed(who.delete_bucket, Bucket=bucket)
    with pytest.raises(ClientError, match="with an explicit deny in a resource-based policy"):
        bob.get_object(**asked)
    assert not allowed(bob.delete_bucket_policy, Bucket=bucket)
    assert allowed(root.get_bucket_policy, Bucket=bucket), "root can always mend a policy"
    assert allowed(root.delete_bucket_policy, Bucket=bucket)
    assert allowed(bob.get_object, **asked)


def test_naming_the_account_leaves_the_choice_to_iam(root: Any, ann: Any, bob: Any, bucket: str) -> None:
    put(root, bucket, statement(bucket, "Allow", {"AWS": "123456789012"}, "s3:GetObject"))

    assert not allowed(ann.get_object, Bucket=bucket, Key="k")
    assert allowed(bob.get_object, Bucket=bucket, Key="k")


def test_uploads_can_be_made_to_be_encrypted(root: Any, bob: Any, bucket: str) -> None:
    condition = {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}
    put(root, bucket, statement(bucket, "Deny", "*", "s3:PutObject", Condition=condition))

    assert not allowed(bob.put_object, Bucket=bucket, Key="k", Body=b"y")
    assert not allowed(bob.put_object, Bucket=bucket, Key="k", Body=b"y", ServerSideEncryption="AES256")
    assert allowed(bob.put_object, Bucket=bucket, Key="k", Body=b"y", ServerSideEncryption="aws:kms")


def test_a_prefix_can_be_a_users_own(root: Any, ann: Any, bucket: str) -> None:
    own = {
        "Effect": "Allow",
        "Principal": {"AWS": ANN},
        "Action": ["s3:PutObject", "s3:DeleteObject"],
        "Resource": f"arn:aws:s3:::{bucket}/${{aws:username}}/*",
    }
    put(root, bucket, own)

    assert allowed(ann.put_object, Bucket=bucket, Key="ann/k", Body=b"x")
    assert not allowed(ann.put_object, Bucket=bucket, Key="bob/k", Body=b"x")
    both = {"Objects": [{"Key": "ann/k"}, {"Key": "bob/k"}]}
    answer = ann.delete_objects(Bucket=bucket, Delete=both)
    assert [each["Key"] for each in answer["Deleted"]] == ["ann/k"]
    assert [each["Key"] for each in answer["Errors"]] == ["bob/k"]


def test_wire_calls_are_not_secure_transport(root: Any, bob: Any, bucket: str) -> None:
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    put(root, bucket, statement(bucket, "Deny", "*", "s3:GetObject", Condition=condition))

    assert not allowed(bob.get_object, Bucket=bucket, Key="k")


def test_a_policy_is_told_as_it_was_put(root: Any, bucket: str) -> None:
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        root.get_bucket_policy(Bucket=bucket)
    text = json.dumps(
        {"Statement": [statement(bucket, "Allow", {"AWS": ANN}, "s3:GetObject")], "Version": "2012-10-17"}
    )

    root.put_bucket_policy(Bucket=bucket, Policy=text)

    assert root.get_bucket_policy(Bucket=bucket)["Policy"] == text
    assert root.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is False


@pytest.mark.parametrize(
    "bad",
    [
        {"Resource": "arn:aws:s3:::another/*"},
        {"Action": "sqs:SendMessage"},
        {"Principal": {"AWS": "nobody"}},
        {"Effect": "Perhaps"},
    ],
)
def test_policies_that_cannot_be_are_refused(root: Any, bucket: str, bad: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="MalformedPolicy"):
        put(root, bucket, {**statement(bucket, "Allow", {"AWS": ANN}, "s3:GetObject"), **bad})


def test_a_condition_that_nobody_would_check_is_refused(root: Any, bucket: str) -> None:
    condition = {"StringEquals": {"s3:ExistingObjectTag/secret": "yes"}}

    with pytest.raises(ClientError, match=r"NotImplemented.*s3:ExistingObjectTag/secret"):
        put(root, bucket, statement(bucket, "Deny", "*", "s3:GetObject", Condition=condition))


def test_public_policies_can_be_blocked(root: Any, bucket: str) -> None:
    public = statement(bucket, "Allow", "*", "s3:GetObject")
    limited = {**public, "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}
    block = {"BlockPublicPolicy": True}

    put(root, bucket, public)
    assert root.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is True
    root.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)

    with pytest.raises(ClientError, match="BlockPublicPolicy"):
        put(root, bucket, public)
    put(root, bucket, limited)
    assert root.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is False


def test_a_bucket_that_is_made_anew_has_no_policy(root: Any, ann: Any, bucket: str) -> None:
    put(root, bucket, statement(bucket, "Allow", {"AWS": ANN}, "s3:GetObject"))
    assert allowed(ann.get_object, Bucket=bucket, Key="k")
    root.delete_object(Bucket=bucket, Key="k")
    root.delete_bucket(Bucket=bucket)

    root.create_bucket(Bucket=bucket)
    root.put_object(Bucket=bucket, Key="k", Body=b"x")

    assert not allowed(ann.get_object, Bucket=bucket, Key="k")
