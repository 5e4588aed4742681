"""Inline and managed policies and the simulator, by boto3."""

from __future__ import annotations

import json
from typing import Any

import pytest

S3_FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
TEXT = json.dumps(DOCUMENT)


@pytest.mark.parametrize("noun", ["user", "role", "group"])
def test_inline_policies_of_each_entity(iam: Any, trust: str, refused: Any, noun: str) -> None:
    named = {f"{noun.title()}Name": "x"}
    getattr(iam, f"create_{noun}")(**named, **({"AssumeRolePolicyDocument": trust} if noun == "role" else {}))
    put, get = getattr(iam, f"put_{noun}_policy"), getattr(iam, f"get_{noun}_policy")
    put(**named, PolicyName="p", PolicyDocument=TEXT)
    answer = get(**named, PolicyName="p")
    assert (answer["PolicyName"], answer["PolicyDocument"]) == ("p", DOCUMENT)
    assert getattr(iam, f"list_{noun}_policies")(**named)["PolicyNames"] == ["p"]
    getattr(iam, f"delete_{noun}_policy")(**named, PolicyName="p")
    missing = ("NoSuchEntity", f"The {noun} policy with name p cannot be found.")
    assert refused(get, **named, PolicyName="p") == missing
    assert refused(getattr(iam, f"delete_{noun}_policy"), **named, PolicyName="p") == missing
    assert refused(put, **named, PolicyName="p", PolicyDocument="{}")[0] == "MalformedPolicyDocument"
    big = json.dumps(
        {"Statement": [{"Effect": "Deny", "Action": ["s3:" + "x" * 100] * 120, "Resource": "*"}]}
    )
    assert refused(put, **named, PolicyName="p", PolicyDocument=big)[0] == "LimitExceeded"
    assert getattr(iam, f"list_{noun}_policies")(**named)["PolicyNames"] == []


def test_a_managed_policy_lives_through_its_versions(iam: Any, refused: Any) -> None:
    made = iam.create_policy(
        PolicyName="P", Path="/a/", PolicyDocument=TEXT, Tags=[{"Key": "k", "Value": "v"}]
    )["Policy"]
    arn = made["Arn"]
    assert arn == "arn:aws:iam::123456789012:policy/a/P"
    assert refused(iam.create_policy, PolicyName="p", PolicyDocument=TEXT)[0] == "EntityAlreadyExists"
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    second = iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(deny), SetAsDefault=True)
    assert second["PolicyVersion"]["VersionId"] == "v2"
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v2"
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"] == deny
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"] == DOCUMENT
    assert [each["VersionId"] for each in iam.list_policy_versions(PolicyArn=arn)["Versions"]] == ["v2", "v1"]
    assert refused(iam.delete_policy_version, PolicyArn=arn, VersionId="v2")[0] == "DeleteConflict"
    assert refused(iam.delete_policy, PolicyArn=arn)[0] == "DeleteConflict"
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    for _ in range(4):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=TEXT)
    assert refused(iam.create_policy_version, PolicyArn=arn, PolicyDocument=TEXT)[0] == "LimitExceeded"
    assert iam.list_policy_versions(PolicyArn=arn)["Versions"][0]["VersionId"] == "v6"


def test_policies_are_attached_counted_and_detached(iam: Any, trust: str, refused: Any) -> None:
    arn = iam.create_policy(PolicyName="own", PolicyDocument=TEXT)["Policy"]["Arn"]
    iam.create_role(RoleName="job", AssumeRolePolicyDocument=trust)
    iam.create_user(UserName="ann")
    iam.attach_role_policy(RoleName="job", PolicyArn=arn)
    iam.attach_role_policy(RoleName="job", PolicyArn=S3_FULL)
    iam.attach_role_policy(RoleName="job", PolicyArn=arn)
    iam.attach_user_policy(UserName="ann", PolicyArn=arn)
    assert iam.list_attached_role_policies(RoleName="job")["AttachedPolicies"] == [
        {"PolicyName": "AmazonS3FullAccess", "PolicyArn": S3_FULL},
        {"PolicyName": "own", "PolicyArn": arn},
    ]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 2
    having = iam.list_entities_for_policy(PolicyArn=arn)
    assert [each["RoleName"] for each in having["PolicyRoles"]] == ["job"]
    assert [each["UserName"] for each in having["PolicyUsers"]] == ["ann"]
    attached = iam.list_policies(OnlyAttached=True)["Policies"]
    assert {each["Arn"] for each in attached} == {arn, S3_FULL}
    assert [each["Arn"] for each in iam.list_policies(Scope="Local")["Policies"]] == [arn]
    assert refused(iam.delete_policy, PolicyArn=arn) == (
        "DeleteConflict",
        "Cannot delete a policy attached to entities.",
    )
    iam.detach_role_policy(RoleName="job", PolicyArn=arn)
    assert refused(iam.detach_role_policy, RoleName="job", PolicyArn=arn)[0] == "NoSuchEntity"
    iam.detach_user_policy(UserName="ann", PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)


def test_policies_of_aws_can_be_read_and_attached_but_not_changed(iam: Any, refused: Any) -> None:
    brought = [
        policy
        for page in iam.get_paginator("list_policies").paginate(
            Scope="AWS", PaginationConfig={"PageSize": 10}
        )
        for policy in page["Policies"]
    ]
    names = {policy["PolicyName"] for policy in brought}
    assert {"AmazonSageMakerFullAccess", "AmazonS3FullAccess", "AdministratorAccess"} <= names
    assert len({policy["PolicyId"] for policy in brought}) == len(brought)
    for policy in brought:
        version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId="v1")["PolicyVersion"]
        # The parser's own check: what we ship must be what we would accept.
        iam.simulate_custom_policy(
            PolicyInputList=[json.dumps(version["Document"])], ActionNames=["s3:GetObject"]
        )
    assert refused(iam.delete_policy, PolicyArn=S3_FULL)[0] == "AccessDenied"
    iam.create_user(UserName="ann")
    code, message = refused(iam.attach_user_policy, UserName="ann", PolicyArn=S3_FULL + "ish")
    assert code == "NoSuchEntity"
    assert "ListPolicies with Scope=AWS" in message


def test_the_simulator_says_what_is_decided_and_by_what(iam: Any, trust: str, refused: Any) -> None:
    role = iam.create_role(RoleName="job", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.attach_role_policy(RoleName="job", PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
    deny = {"Statement": [{"Effect": "Deny", "Action": "sagemaker:DeleteModel", "Resource": "*"}]}
    iam.put_role_policy(RoleName="job", PolicyName="careful", PolicyDocument=json.dumps(deny))
    answer = iam.simulate_principal_policy(
        PolicySourceArn=role,
        ActionNames=[
            "sagemaker:CreateTrainingJob",
            "sagemaker:DeleteModel",
            "dynamodb:GetItem",
            "iam:PassRole",
        ],
        ResourceArns=[role],
    )
    results = {each["EvalActionName"]: each for each in answer["EvaluationResults"]}
    decisions = {action: result["EvalDecision"] for action, result in results.items()}
    assert decisions == {
        "sagemaker:CreateTrainingJob": "allowed",
        "sagemaker:DeleteModel": "explicitDeny",
        "dynamodb:GetItem": "implicitDeny",
        "iam:PassRole": "implicitDeny",
    }
    assert results["sagemaker:CreateTrainingJob"]["MatchedStatements"] == [
        {"SourcePolicyId": "AmazonSageMakerFullAccess", "SourcePolicyType": "aws-managed"}
    ]
    assert results["sagemaker:DeleteModel"]["MatchedStatements"] == [
        {"SourcePolicyId": "role_job_careful", "SourcePolicyType": "role"}
    ]
    assert results["iam:PassRole"]["MissingContextValues"] == ["iam:PassedToService"]
    passed = {
        "ContextKeyName": "iam:PassedToService",
        "ContextKeyType": "string",
        "ContextKeyValues": ["sagemaker.amazonaws.com"],
    }
    again = iam.simulate_principal_policy(
        PolicySourceArn=role, ActionNames=["iam:PassRole"], ResourceArns=[role], ContextEntries=[passed]
    )
    assert again["EvaluationResults"][0]["EvalDecision"] == "allowed"
    assert refused(
        iam.simulate_principal_policy, PolicySourceArn=role + "x", ActionNames=["s3:GetObject"]
    ) == (
        "NoSuchEntity",
        "The role with name jobx cannot be found.",
    )


def test_a_role_bears_as_many_policies_as_aws_grants_at_most(iam: Any, trust: str, refused: Any) -> None:
    iam.create_role(RoleName="job", AssumeRolePolicyDocument=trust)
    arns = [policy["Arn"] for policy in iam.list_policies(Scope="AWS")["Policies"]]
    for arn in arns[:25]:
        iam.attach_role_policy(RoleName="job", PolicyArn=arn)
    assert refused(iam.attach_role_policy, RoleName="job", PolicyArn=arns[25]) == (
        "LimitExceeded",
        "Cannot exceed quota for PoliciesPerRole: 25",
    )


def test_a_role_with_full_access_to_sagemaker_may_do_what_the_sdk_asks_of_one_that_trains(
    iam: Any, trust: str
) -> None:
    role = iam.create_role(RoleName="job", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.attach_role_policy(RoleName="job", PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
    asked = [
        "cloudwatch:PutMetricData",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterfacePermission",
        "ec2:DescribeDhcpOptions",
        "ecr:BatchGetImage",
        "logs:DescribeLogStreams",
        "s3:ListBucket",
    ]
    results = iam.simulate_principal_policy(PolicySourceArn=role, ActionNames=asked)["EvaluationResults"]
    assert {each["EvalDecision"] for each in results} == {"allowed"}


def test_the_account_is_counted(iam: Any) -> None:
    iam.create_user(UserName="ann")
    assert iam.get_account_summary()["SummaryMap"]["Users"] == 1
    assert iam.list_account_aliases()["AccountAliases"] == []
