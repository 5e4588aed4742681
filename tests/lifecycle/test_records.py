"""What the suite of all stored resources cannot know: versions, relations, who holds whom, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

REGION = "us-east-1"
ARN = f"arn:aws:sagemaker:{REGION}:123456789012"
CONTAINER = {
    "Containers": [{"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/sklearn:1"}],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}
OIDC = {
    "ClientId": "id",
    "ClientSecret": "not-to-be-kept",
    **{
        member: f"https://example.com/{member}"
        for member in (
            "Issuer",
            "AuthorizationEndpoint",
            "TokenEndpoint",
            "UserInfoEndpoint",
            "LogoutEndpoint",
            "JwksUri",
        )
    },
}


def refused(operation: Callable[..., Any], **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        operation(**parameters)
    told = error.value.response["Error"]
    return told["Code"], told["Message"]


# Model registry


def register(sagemaker: Any, group: str = "Churn", **members: Any) -> str:
    answer = sagemaker.create_model_package(
        ModelPackageGroupName=group, InferenceSpecification=CONTAINER, **members
    )
    return str(answer["ModelPackageArn"])


def test_versions_of_a_model_count_up_and_are_not_given_twice(sagemaker: Any) -> None:
    sagemaker.create_model_package_group(ModelPackageGroupName="Churn")
    assert [register(sagemaker) for _ in range(2)] == [f"{ARN}:model-package/churn/{n}" for n in (1, 2)]
    sagemaker.delete_model_package(ModelPackageName=f"{ARN}:model-package/churn/2")
    assert register(sagemaker) == f"{ARN}:model-package/churn/3"
    told = sagemaker.describe_model_package(ModelPackageName=f"{ARN}:model-package/churn/3")
    assert told["ModelPackageVersion"] == 3
    assert told["ModelPackageGroupName"] == "Churn"
    assert told["ModelPackageStatus"] == "Completed"
    assert told["ModelApprovalStatus"] == "PendingManualApproval"
    assert told["InferenceSpecification"] == CONTAINER


def test_a_repeated_registration_answers_the_first(sagemaker: Any) -> None:
    sagemaker.create_model_package_group(ModelPackageGroupName="churn")
    first = register(sagemaker, "churn", ClientToken="a" * 36)
    assert register(sagemaker, "churn", ClientToken="a" * 36) == first
    assert register(sagemaker, "churn", ClientToken="b" * 36) != first


def test_a_version_is_approved_and_found_by_its_approval(sagemaker: Any) -> None:
    sagemaker.create_model_package_group(ModelPackageGroupName="churn")
    arns = [register(sagemaker, "churn") for _ in range(3)]
    sagemaker.update_model_package(
        ModelPackageArn=arns[1],
        ModelApprovalStatus="Approved",
        ApprovalDescription="good",
        CustomerMetadataProperties={"auc": "0.9", "owner": "ann"},
    )
    sagemaker.update_model_package(ModelPackageArn=arns[1], CustomerMetadataPropertiesToRemove=["owner"])
    told = sagemaker.describe_model_package(ModelPackageName=arns[1])
    assert (told["ModelApprovalStatus"], told["ApprovalDescription"]) == ("Approved", "good")
    assert told["CustomerMetadataProperties"] == {"auc": "0.9"}
    (row,) = sagemaker.list_model_packages(ModelPackageGroupName="churn", ModelApprovalStatus="Approved")[
        "ModelPackageSummaryList"
    ]
    assert row["ModelPackageArn"] == arns[1]


def test_lists_part_versioned_packages_from_the_others(sagemaker: Any) -> None:
    sagemaker.create_model_package_group(ModelPackageGroupName="churn")
    versioned = register(sagemaker, "churn")
    alone = sagemaker.create_model_package(ModelPackageName="Alone", InferenceSpecification=CONTAINER)[
        "ModelPackageArn"
    ]

    def listed(**filters: str) -> set[str]:
        rows = sagemaker.list_model_packages(**filters)["ModelPackageSummaryList"]
        return {row["ModelPackageArn"] for row in rows}

    assert listed() == {alone}
    assert listed(ModelPackageType="Versioned") == listed(
        ModelPackageGroupName=f"{ARN}:model-package-group/churn"
    )
    assert listed(ModelPackageType="Both") == {alone, versioned}
    assert sagemaker.describe_model_package(ModelPackageName="alone")["ModelPackageName"] == "Alone"
    code, text = refused(
        sagemaker.create_model_package, ModelPackageName="ALONE", InferenceSpecification=CONTAINER
    )
    assert (code, text) == ("ValidationException", f"ModelPackage already exists: {alone}")


def test_a_group_with_packages_cannot_be_deleted(sagemaker: Any) -> None:
    sagemaker.create_model_package_group(ModelPackageGroupName="churn")
    arn = register(sagemaker, "churn")
    code, text = refused(sagemaker.delete_model_package_group, ModelPackageGroupName="churn")
    assert code == "ConflictException"
    assert "it still has the model package" in text
    sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName="churn")
    assert refused(register, sagemaker=sagemaker, group="churn") == (
        "ValidationException",
        f"ModelPackageGroup {ARN}:model-package-group/churn does not exist.",
    )


def test_a_group_keeps_a_policy(sagemaker: Any) -> None:
    sagemaker.create_model_package_group(ModelPackageGroupName="churn")
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    code, text = refused(sagemaker.get_model_package_group_policy, ModelPackageGroupName="churn")
    assert (code, text[:27]) == ("ValidationException", "Cannot find resource policy")
    sagemaker.put_model_package_group_policy(ModelPackageGroupName="churn", ResourcePolicy=policy)
    told = sagemaker.get_model_package_group_policy(ModelPackageGroupName="churn")
    assert told["ResourcePolicy"] == policy
    sagemaker.delete_model_package_group_policy(ModelPackageGroupName="churn")
    assert refused(sagemaker.delete_model_package_group_policy, ModelPackageGroupName="churn")[1].startswith(
        "Cannot find resource policy"
    )


def test_many_packages_are_described_at_once(sagemaker: Any) -> None:
    sagemaker.create_model_package_group(ModelPackageGroupName="churn")
    arn, gone = register(sagemaker, "churn"), f"{ARN}:model-package/churn/9"
    told = sagemaker.batch_describe_model_package(ModelPackageArnList=[arn, gone])
    assert told["ModelPackageSummaries"][arn]["ModelPackageVersion"] == 1
    assert told["BatchDescribeModelPackageErrorMap"][gone]["ErrorCode"] == "ValidationException"


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({}, "exactly one of ModelPackageName and ModelPackageGroupName"),
        ({"ModelPackageName": "a", "ModelPackageGroupName": "b"}, "exactly one of"),
        ({"ModelPackageName": "a", "ModelApprovalStatus": "Approved"}, "ModelApprovalStatus is for versions"),
    ],
)
def test_a_package_that_is_neither_or_both_is_refused(sagemaker: Any, members: Any, text: str) -> None:
    assert text in refused(sagemaker.create_model_package, **members)[1]


def test_work_that_nobody_would_do_is_refused(sagemaker: Any) -> None:
    profile = {
        "ProfileName": "p",
        "TransformJobDefinition": {
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/k"}}
            },
            "TransformOutput": {"S3OutputPath": "s3://b/o"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        },
    }
    code, text = refused(
        sagemaker.create_model_package,
        ModelPackageName="a",
        ValidationSpecification={
            "ValidationRole": "arn:aws:iam::123456789012:role/r",
            "ValidationProfiles": [profile],
        },
    )
    assert code == "NotImplementedException"
    assert "ValidationSpecification of CreateModelPackage" in text
    code, _ = refused(sagemaker.create_project, ProjectName="p", TemplateProviders=[{}])
    assert code == "NotImplementedException"


# Model cards


def card(text: str) -> str:
    return json.dumps({"intended_uses": {"purpose_of_model": text}})


def test_new_content_is_a_new_version_of_a_card_and_a_new_status_is_not(sagemaker: Any) -> None:
    sagemaker.create_model_card(ModelCardName="Churn", Content=card("one"), ModelCardStatus="Draft")
    sagemaker.update_model_card(ModelCardName="Churn", Content=card("two"))
    sagemaker.update_model_card(ModelCardName="Churn", ModelCardStatus="Approved")
    newest = sagemaker.describe_model_card(ModelCardName="churn")
    assert (newest["ModelCardVersion"], newest["Content"]) == (2, card("two"))
    assert newest["ModelCardStatus"] == "Approved"
    first = sagemaker.describe_model_card(ModelCardName="churn", ModelCardVersion=1)
    assert (first["Content"], first["ModelCardStatus"]) == (card("one"), "Draft")
    rows = sagemaker.list_model_card_versions(ModelCardName="churn", SortOrder="Ascending")
    assert [row["ModelCardVersion"] for row in rows["ModelCardVersionSummaryList"]] == [1, 2]
    sagemaker.delete_model_card(ModelCardName="churn")
    sagemaker.create_model_card(ModelCardName="churn", Content=card("anew"), ModelCardStatus="Draft")
    assert (
        refused(sagemaker.describe_model_card, ModelCardName="churn", ModelCardVersion=2)[0]
        == "ResourceNotFound"
    )


def test_cards_that_are_no_cards_are_refused(sagemaker: Any) -> None:
    for content, text in (("nonsense", "not JSON"), ("[]", "JSON object"), ('{"a": 1}', "unknown section a")):
        code, told = refused(
            sagemaker.create_model_card, ModelCardName="c", Content=content, ModelCardStatus="Draft"
        )
        assert code == "ValidationException"
        assert text in told
    sagemaker.create_model_card(ModelCardName="c", Content=card("one"), ModelCardStatus="Draft")
    _, told = refused(
        sagemaker.update_model_card, ModelCardName="c", Content=card("two"), ModelCardStatus="Approved"
    )
    assert "cannot be updated in one call" in told


# Experiments


def test_trials_and_components_are_deleted_from_the_inside_out(sagemaker: Any) -> None:
    sagemaker.create_experiment(ExperimentName="Question")
    sagemaker.create_trial(TrialName="try-1", ExperimentName="question")
    sagemaker.create_trial_component(TrialComponentName="step")
    sagemaker.associate_trial_component(TrialName="try-1", TrialComponentName="step")
    assert sagemaker.describe_trial(TrialName="try-1")["ExperimentName"] == "Question"
    for operation, name, why in (
        (sagemaker.delete_experiment, {"ExperimentName": "question"}, "it still has the trial try-1"),
        (sagemaker.delete_trial, {"TrialName": "try-1"}, "it still has the trial component step"),
        (sagemaker.delete_trial_component, {"TrialComponentName": "step"}, "it is in the trial try-1"),
    ):
        code, text = refused(operation, **name)
        assert code == "ValidationException"
        assert why in text
    sagemaker.disassociate_trial_component(TrialName="try-1", TrialComponentName="step")
    sagemaker.delete_trial_component(TrialComponentName="step")
    sagemaker.delete_trial(TrialName="try-1")
    sagemaker.delete_experiment(ExperimentName="question")


def test_lists_go_from_experiments_to_trials_to_components_and_back(sagemaker: Any) -> None:
    for experiment, trials in (("a", ("a1", "a2")), ("b", ("b1",))):
        sagemaker.create_experiment(ExperimentName=experiment)
        for trial in trials:
            sagemaker.create_trial(TrialName=trial, ExperimentName=experiment)
    for component, trials in (("one", ("a1",)), ("both", ("a2", "b1")), ("none", ())):
        sagemaker.create_trial_component(TrialComponentName=component)
        for trial in trials:
            sagemaker.associate_trial_component(TrialName=trial, TrialComponentName=component)

    def trials(**filters: str) -> set[str]:
        return {row["TrialName"] for row in sagemaker.list_trials(**filters)["TrialSummaries"]}

    def components(**filters: str) -> set[str]:
        rows = sagemaker.list_trial_components(**filters)["TrialComponentSummaries"]
        return {row["TrialComponentName"] for row in rows}

    assert trials() == {"a1", "a2", "b1"}
    assert trials(ExperimentName="A") == {"a1", "a2"}
    assert trials(TrialComponentName="both") == {"a2", "b1"}
    assert components() == {"one", "both", "none"}
    assert components(ExperimentName="a") == {"one", "both"}
    assert components(TrialName="b1") == {"both"}
    assert refused(sagemaker.list_trials, ExperimentName="c")[0] == "ResourceNotFound"


def test_parameters_of_a_component_are_added_replaced_and_removed(sagemaker: Any) -> None:
    number = {"eta": {"NumberValue": 0.3}, "depth": {"NumberValue": 6.0}}
    sagemaker.create_trial_component(TrialComponentName="step", Parameters=number)
    sagemaker.update_trial_component(
        TrialComponentName="step",
        Parameters={"eta": {"NumberValue": 0.1}, "rounds": {"NumberValue": 9.0}},
        ParametersToRemove=["depth"],
    )
    told = sagemaker.describe_trial_component(TrialComponentName="step")
    assert told["Parameters"] == {"eta": {"NumberValue": 0.1}, "rounds": {"NumberValue": 9.0}}


def test_an_experiment_that_exists_says_so_as_the_sdk_expects(sagemaker: Any) -> None:
    sagemaker.create_experiment(ExperimentName="question")
    assert refused(sagemaker.create_experiment, ExperimentName="Question") == (
        "ValidationException",
        "Experiment names must be unique within an AWS account and region. Experiment with name (Question) already exists.",
    )


# Lineage


def test_an_artifact_is_one_per_source_and_type(sagemaker: Any) -> None:
    def make(uri: str, kind: str) -> str:
        answer = sagemaker.create_artifact(Source={"SourceUri": uri}, ArtifactType=kind)
        return str(answer["ArtifactArn"])

    first = make("s3://b/data", "DataSet")
    assert re.fullmatch(rf"{ARN}:artifact/[0-9a-f]{{32}}", first)
    assert make("s3://b/data", "DataSet") == first
    assert first not in (make("s3://b/data", "Model"), make("s3://b/other", "DataSet"))
    rows = sagemaker.list_artifacts(SourceUri="s3://b/data", ArtifactType="DataSet")["ArtifactSummaries"]
    assert [row["ArtifactArn"] for row in rows] == [first]
    assert not sagemaker.list_artifacts(SourceUri="s3://B/DATA")["ArtifactSummaries"]


def test_associations_tie_entities_and_hold_them(sagemaker: Any) -> None:
    data = sagemaker.create_artifact(
        ArtifactName="rows", Source={"SourceUri": "s3://b/data"}, ArtifactType="DataSet"
    )["ArtifactArn"]
    action = sagemaker.create_action(
        ActionName="deploy", Source={"SourceUri": "here"}, ActionType="ModelDeployment"
    )["ActionArn"]
    edge = {"SourceArn": data, "DestinationArn": action}
    sagemaker.add_association(**edge, AssociationType="ContributedTo")
    assert "already exists" in refused(sagemaker.add_association, **edge)[1]
    (row,) = sagemaker.list_associations(SourceArn=data, DestinationType="ModelDeployment")[
        "AssociationSummaries"
    ]
    assert {
        **edge,
        "SourceName": "rows",
        "SourceType": "DataSet",
        "DestinationName": "deploy",
    }.items() <= row.items()
    assert not sagemaker.list_associations(SourceArn=action)["AssociationSummaries"]
    for delete, name in (
        (sagemaker.delete_artifact, {"ArtifactArn": data}),
        (sagemaker.delete_action, {"ActionName": "deploy"}),
    ):
        assert "Delete that association first" in refused(delete, **name)[1]
    sagemaker.delete_association(**edge)
    assert refused(sagemaker.delete_association, **edge)[0] == "ResourceNotFound"
    sagemaker.delete_artifact(Source={"SourceUri": "s3://b/data"})
    assert refused(sagemaker.add_association, **edge)[0] == "ResourceNotFound"


# Studio


@pytest.fixture
def domain(sagemaker: Any) -> str:
    answer = sagemaker.create_domain(
        DomainName="team",
        AuthMode="IAM",
        DefaultUserSettings={"ExecutionRole": "arn:aws:iam::123456789012:role/studio"},
    )
    assert re.fullmatch(r"d-[a-z0-9]{12}", answer["DomainId"])
    assert answer["DomainArn"] == f"{ARN}:domain/{answer['DomainId']}"
    return str(answer["DomainId"])


def test_domains_hold_profiles_and_profiles_hold_their_spaces(sagemaker: Any, domain: str) -> None:
    ann = {"DomainId": domain, "UserProfileName": "ann"}
    space = {"DomainId": domain, "SpaceName": "desk"}
    owned = {
        "OwnershipSettings": {"OwnerUserProfileName": "ann"},
        "SpaceSharingSettings": {"SharingType": "Private"},
    }
    assert refused(sagemaker.create_space, **space, **owned)[0] == "ResourceNotFound"
    arn = sagemaker.create_user_profile(**ann)["UserProfileArn"]
    assert arn == f"{ARN}:user-profile/{domain}/ann"
    sagemaker.create_space(**space, **owned)
    (row,) = sagemaker.list_spaces(DomainIdEquals=domain)["Spaces"]
    assert row["OwnershipSettingsSummary"] == {"OwnerUserProfileName": "ann"}
    for delete, name in (
        (sagemaker.delete_domain, {"DomainId": domain}),
        (sagemaker.delete_user_profile, ann),
    ):
        code, _ = refused(delete, **name)
        assert code == "ResourceInUse"
    sagemaker.delete_space(**space)
    sagemaker.delete_user_profile(**ann)
    sagemaker.delete_domain(DomainId=domain)
    assert refused(sagemaker.describe_domain, DomainId=domain)[0] == "ResourceNotFound"
    assert refused(sagemaker.create_user_profile, **ann)[0] == "ResourceNotFound"


def test_the_same_name_in_two_domains_is_two_people(sagemaker: Any, domain: str) -> None:
    other = sagemaker.create_domain(
        DomainName="other",
        AuthMode="IAM",
        DefaultUserSettings={"ExecutionRole": "arn:aws:iam::123456789012:role/r"},
    )["DomainId"]
    for place in (domain, other):
        sagemaker.create_user_profile(DomainId=place, UserProfileName="ann")
    (row,) = sagemaker.list_user_profiles(DomainIdEquals=other)["UserProfiles"]
    assert row["DomainId"] == other
    assert len(sagemaker.list_user_profiles(UserProfileNameContains="nn")["UserProfiles"]) == 2
    assert not sagemaker.list_user_profiles(UserProfileNameContains=domain[2:6])["UserProfiles"]


def test_an_update_of_settings_keeps_those_that_it_does_not_name(sagemaker: Any, domain: str) -> None:
    sagemaker.update_domain(
        DomainId=domain,
        DefaultUserSettings={"SecurityGroups": ["sg-1"]},
        DomainSettingsForUpdate={"DockerSettings": {"EnableDockerAccess": "ENABLED"}},
    )
    told = sagemaker.describe_domain(DomainId=domain)
    assert told["DefaultUserSettings"] == {
        "ExecutionRole": "arn:aws:iam::123456789012:role/studio",
        "SecurityGroups": ["sg-1"],
    }
    assert told["DomainSettings"] == {"DockerSettings": {"EnableDockerAccess": "ENABLED"}}


# Images


def image(sagemaker: Any) -> None:
    sagemaker.create_image(
        ImageName="Tools", RoleArn="arn:aws:iam::123456789012:role/r", Description="of the trade"
    )


def version(sagemaker: Any, **members: Any) -> int:
    arn = sagemaker.create_image_version(ImageName="tools", BaseImage="repository/image:1", **members)[
        "ImageVersionArn"
    ]
    return int(arn.removeprefix(f"{ARN}:image-version/tools/"))


def test_versions_of_an_image_are_found_by_number_by_alias_or_as_the_newest(sagemaker: Any) -> None:
    image(sagemaker)
    assert [version(sagemaker, Aliases=["stable"]), version(sagemaker), version(sagemaker)] == [1, 2, 3]

    def described(**which: Any) -> int:
        return int(sagemaker.describe_image_version(ImageName="Tools", **which)["Version"])

    assert (described(), described(Version=2), described(Alias="stable")) == (3, 2, 1)
    code, text = refused(version, sagemaker=sagemaker, Aliases=["stable"])
    assert (code, text) == ("ResourceInUse", "Version 1 has the alias stable already: delete it there first.")
    sagemaker.update_image_version(ImageName="tools", Version=1, AliasesToDelete=["stable"])
    sagemaker.update_image_version(ImageName="tools", Version=3, AliasesToAdd=["stable", "best"])
    assert described(Alias="stable") == 3
    assert sagemaker.list_aliases(ImageName="tools")["SageMakerImageVersionAliases"] == ["best", "stable"]
    sagemaker.delete_image_version(ImageName="tools", Alias="best")
    assert described() == 2
    assert version(sagemaker) == 4
    assert refused(sagemaker.describe_image_version, ImageName="tools", Version=3)[0] == "ResourceNotFound"


def test_an_image_goes_with_its_versions(sagemaker: Any) -> None:
    image(sagemaker)
    version(sagemaker)
    sagemaker.delete_image(ImageName="tools")
    code, text = refused(sagemaker.describe_image, ImageName="tools")
    assert (code, text[:22]) == ("ResourceNotFound", "No Image with the name")
    image(sagemaker)
    assert sagemaker.list_image_versions(ImageName="tools")["ImageVersions"] == []


def test_properties_of_an_image_can_be_taken_off(sagemaker: Any) -> None:
    image(sagemaker)
    sagemaker.update_image(ImageName="tools", DisplayName="Tools", DeleteProperties=["Description"])
    told = sagemaker.describe_image(ImageName="tools")
    assert told["DisplayName"] == "Tools"
    assert "Description" not in told


def test_groups_of_other_accounts_are_none(sagemaker: Any) -> None:
    sagemaker.create_model_package_group(ModelPackageGroupName="churn")
    listed = [
        len(
            sagemaker.list_model_package_groups(CrossAccountFilterOption=which)[
                "ModelPackageGroupSummaryList"
            ]
        )
        for which in ("SameAccount", "CrossAccount")
    ]
    assert listed == [1, 0]


# People who label


def test_workforces_hold_their_teams_and_keep_no_secret(sagemaker: Any, fresh: Any) -> None:
    sagemaker.create_workforce(WorkforceName="crowd", OidcConfig=OIDC)
    team = {"WorkteamName": "team", "WorkforceName": "crowd", "Description": "who labels"}
    groups = [{"OidcMemberDefinition": {"Groups": ["g"]}}]
    assert refused(sagemaker.create_workteam, **{**team, "WorkforceName": "none"}, MemberDefinitions=groups)[
        1
    ].startswith("No workforce")
    sagemaker.create_workteam(**team, MemberDefinitions=groups)
    told = sagemaker.describe_workteam(WorkteamName="team")["Workteam"]
    assert told["WorkforceArn"] == f"{ARN}:workforce/crowd"
    assert refused(sagemaker.delete_workforce, WorkforceName="crowd")[0] == "ResourceInUse"
    with fresh.platform.store.read() as reader:
        (stored,) = reader.scan_types("sagemaker", "Workforce")
    assert "not-to-be-kept" not in str(stored.document)
    assert sagemaker.delete_workteam(WorkteamName="team")["Success"] is True
    sagemaker.delete_workforce(WorkforceName="crowd")


# Monitors


def test_job_definitions_are_listed_by_endpoint(sagemaker: Any) -> None:
    for name, endpoint in (("a", "one"), ("b", "two")):
        sagemaker.create_data_quality_job_definition(
            JobDefinitionName=name,
            DataQualityAppSpecification={"ImageUri": "image"},
            DataQualityJobInput={
                "EndpointInput": {"EndpointName": endpoint, "LocalPath": "/opt/ml/processing/in"}
            },
            DataQualityJobOutputConfig={
                "MonitoringOutputs": [
                    {"S3Output": {"S3Uri": "s3://b/k", "LocalPath": "/opt/ml/processing/out"}}
                ]
            },
            JobResources={
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 20}
            },
            RoleArn="arn:aws:iam::123456789012:role/monitor",
        )
    (row,) = sagemaker.list_data_quality_job_definitions(EndpointName="two")["JobDefinitionSummaries"]
    assert row["MonitoringJobDefinitionName"] == "b"
    assert row["MonitoringJobDefinitionArn"] == f"{ARN}:data-quality-job-definition/b"
    assert row["EndpointName"] == "two"


# Policies and audit


def test_policies_name_what_is_stored_by_its_arn(gateway: Any) -> None:
    root = gateway.client("iam")
    root.create_user(UserName="curator")
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sagemaker:*", "Resource": f"{ARN}:user-profile/d-mine/*"},
            {"Effect": "Allow", "Action": "sagemaker:*", "Resource": f"{ARN}:model-package/churn/1"},
        ],
    }
    root.put_user_policy(UserName="curator", PolicyName="own", PolicyDocument=json.dumps(document))
    key = root.create_access_key(UserName="curator")["AccessKey"]
    curator = gateway.client("sagemaker", key["AccessKeyId"], key["SecretAccessKey"])
    mine = {"DomainId": "d-mine", "UserProfileName": "ann"}
    assert refused(curator.describe_user_profile, **mine)[0] == "ResourceNotFound", "allowed to ask"
    assert (
        refused(curator.describe_user_profile, **{**mine, "DomainId": "d-other"})[0]
        == "AccessDeniedException"
    )
    given = {"DomainId": "d-other", "UserProfileName": "ann"}
    assert refused(curator.create_user_profile, **given)[0] == "AccessDeniedException"
    for version, code in ((1, "ValidationException"), (2, "AccessDeniedException")):
        arn = f"{ARN}:model-package/churn/{version}"
        assert refused(curator.update_model_package, ModelPackageArn=arn)[0] == code
        assert refused(curator.delete_model_package, ModelPackageName=arn)[0] == code


def test_a_change_is_audited_and_a_refused_one_is_not(sagemaker: Any, fresh: Any) -> None:
    image(sagemaker)
    refused(sagemaker.create_image, ImageName="tools", RoleArn="arn:aws:iam::123456789012:role/r")
    with fresh.platform.store.read() as reader:
        names = [event.body["eventName"] for event in reader.events("audit")]
    assert names == ["CreateImage"]


# Hubs


def import_content(sagemaker: Any, name: str = "Churn", **more: Any) -> str:
    answer = sagemaker.import_hub_content(
        **{
            "HubName": "Models",
            "HubContentType": "Model",
            "HubContentName": name,
            "DocumentSchemaVersion": "2.0.0",
            "HubContentDocument": "{}",
            **more,
        }
    )
    return str(answer["HubContentArn"])


@pytest.fixture
def hub(sagemaker: Any) -> str:
    return str(sagemaker.create_hub(HubName="Models", HubDescription="ours")["HubArn"])


def test_versions_of_hub_content_stand_side_by_side_and_the_newest_is_meant(
    sagemaker: Any, hub: str, tick: Callable[[], float]
) -> None:
    arns = [import_content(sagemaker, **version) for version in ({}, {"HubContentVersion": "1.9.0"}, {})]
    tick()
    import_content(sagemaker, HubContentVersion="1.10.0", HubContentDescription="the newest")

    where = {"HubName": hub, "HubContentType": "Model", "HubContentName": "churn"}
    told = sagemaker.describe_hub_content(**where)
    first = sagemaker.describe_hub_content(**where, HubContentVersion="1.0.0")
    listed = sagemaker.list_hub_content_versions(**where, MinVersion="1.9.1", SortOrder="Ascending")

    assert arns == [
        f"{ARN}:hub-content/Models/Model/Churn/{version}" for version in ("1.0.0", "1.9.0", "1.9.1")
    ]
    assert (told["HubContentVersion"], told["HubContentDescription"]) == ("1.10.0", "the newest")
    assert (told["HubArn"], told["HubName"], told["HubContentStatus"]) == (hub, "Models", "Available")
    assert (first["HubContentArn"], first["DocumentSchemaVersion"]) == (arns[0], "2.0.0")
    assert first["HubContentDocument"] == "{}"
    assert [row["HubContentVersion"] for row in listed["HubContentSummaries"]] == ["1.9.1", "1.10.0"]


def test_contents_of_a_hub_are_listed_by_kind_with_their_newest_version(sagemaker: Any, hub: str) -> None:
    for name, version in (("b", "1.0.0"), ("a", "1.0.0"), ("b", "2.0.0"), ("models", "1.0.0")):
        import_content(sagemaker, name, HubContentVersion=version, Tags=[{"Key": "team", "Value": name}])
    import_content(sagemaker, "b", HubContentVersion="3.0.0", DocumentSchemaVersion="3.0.0")
    import_content(sagemaker, "note", HubContentType="Notebook")

    def listed(**more: Any) -> list[tuple[str, str]]:
        given = {"HubName": "models", "HubContentType": "Model", "SortBy": "HubContentName", **more}
        rows = _all_pages(sagemaker.list_hub_contents, given)
        return [(row["HubContentName"], row["HubContentVersion"]) for row in rows]

    assert listed(SortOrder="Ascending") == [("a", "1.0.0"), ("b", "3.0.0"), ("models", "1.0.0")]
    assert listed(SortOrder="Descending")[0] == ("models", "1.0.0")
    assert listed(MaxSchemaVersion="2.0.0", NameContains="B") == [("b", "2.0.0")]
    assert listed(NameContains="Models") == [("models", "1.0.0")], "the hub's own name does not count"
    assert listed(HubContentType="Notebook") == [("note", "1.0.0")]
    tagged = sagemaker.list_tags(ResourceArn=f"{ARN}:hub-content/Models/Model/a/1.0.0")
    assert tagged["Tags"] == [{"Key": "team", "Value": "a"}]


def _all_pages(lists: Callable[..., Any], given: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        answer = lists(**given, **token, MaxResults=1)
        rows += answer["HubContentSummaries"]
        if "NextToken" not in answer:
            return rows
        token = {"NextToken": answer["NextToken"]}


def test_hub_content_is_updated_by_version_and_holds_its_hub(sagemaker: Any, hub: str) -> None:
    arn = import_content(sagemaker, HubContentDisplayName="Churn model")
    where = {
        "HubName": "Models",
        "HubContentType": "Model",
        "HubContentName": "Churn",
        "HubContentVersion": "1.0.0",
    }

    assert sagemaker.update_hub_content(**where, SupportStatus="Deprecated")["HubContentArn"] == arn
    told = sagemaker.describe_hub_content(**where)
    assert (told["SupportStatus"], told["HubContentDisplayName"]) == ("Deprecated", "Churn model")
    assert refused(sagemaker.update_hub_content, **where)[1].startswith("Give at least one of")
    code, text = refused(sagemaker.delete_hub, HubName="Models")
    assert (code, "churn/1.0.0" in text) == ("ResourceInUse", True)

    sagemaker.delete_hub_content(**where)
    for operation in (sagemaker.describe_hub_content, sagemaker.delete_hub_content):
        assert refused(operation, **where)[0] == "ResourceNotFound"
    del where["HubContentVersion"]
    assert refused(sagemaker.describe_hub_content, **where)[0] == "ResourceNotFound"
    sagemaker.delete_hub(HubName="Models")


def test_hub_content_that_cannot_be_imported_is_refused(sagemaker: Any, hub: str) -> None:
    arn = import_content(sagemaker, HubContentVersion="1.0.0")

    def importing(**more: Any) -> tuple[str, str]:
        return refused(lambda **given: import_content(sagemaker, **given), **more)

    code, text = importing(HubContentVersion="1.0.0")
    assert (code, arn.lower() in text) == ("ResourceInUse", True)
    assert importing(HubName="none")[0] == "ResourceNotFound"
    assert "References" in importing(HubContentType="ModelReference")[1]
    assert importing(HubContentVersion="first")[0] == "ValidationException"


# Policies of clusters

CLUSTER = f"{ARN}:cluster/abcdefghij12"


def quota(sagemaker: Any, name: str = "team-a", cluster: str = CLUSTER) -> str:
    answer = sagemaker.create_compute_quota(
        Name=name,
        ClusterArn=cluster,
        ComputeQuotaConfig={"PreemptTeamTasks": "Never"},
        ComputeQuotaTarget={"TeamName": name.lower(), "FairShareWeight": 3},
    )
    return str(answer["ComputeQuotaId"])


def test_versions_of_a_quota_stay_readable_and_updates_name_the_one_they_go_out_from(sagemaker: Any) -> None:
    identity = quota(sagemaker)
    assert re.fullmatch("[a-z0-9]{12}", identity)

    target = {"TeamName": "team-a", "FairShareWeight": 9}
    updated = sagemaker.update_compute_quota(
        ComputeQuotaId=identity, TargetVersion=1, ComputeQuotaTarget=target, ActivationState="Disabled"
    )
    code, text = refused(sagemaker.update_compute_quota, ComputeQuotaId=identity, TargetVersion=1)
    now = sagemaker.describe_compute_quota(ComputeQuotaId=identity)
    before = sagemaker.describe_compute_quota(ComputeQuotaId=identity, ComputeQuotaVersion=1)

    assert updated["ComputeQuotaVersion"] == 2
    assert (code, "that is 2" in text) == ("ConflictException", True)
    assert (now["ComputeQuotaTarget"]["FairShareWeight"], now["Status"]) == (9, "Updated")
    assert now["ActivationState"] == "Disabled"
    assert (before["ComputeQuotaTarget"]["FairShareWeight"], before["Status"]) == (3, "Created")
    assert (before["ComputeQuotaVersion"], before["ActivationState"]) == (1, "Enabled")
    code, text = refused(sagemaker.describe_compute_quota, ComputeQuotaId=identity, ComputeQuotaVersion=7)
    assert (code, "no version 7" in text) == ("ResourceNotFound", True)


def test_a_cluster_has_one_quota_of_a_name(sagemaker: Any) -> None:
    quota(sagemaker)
    assert refused(lambda: quota(sagemaker, "TEAM-A"))[0] == "ConflictException"
    quota(sagemaker, cluster=f"{ARN}:cluster/other0000000")

    (row,) = sagemaker.list_compute_quotas(ClusterArn=CLUSTER)["ComputeQuotaSummaries"]
    assert (row["Name"], row["ComputeQuotaVersion"], row["ComputeQuotaTarget"]["TeamName"]) == (
        "team-a",
        1,
        "team-a",
    )
    assert len(sagemaker.list_compute_quotas(Status="Created")["ComputeQuotaSummaries"]) == 2
    assert sagemaker.list_compute_quotas(Status="Deleted")["ComputeQuotaSummaries"] == []
