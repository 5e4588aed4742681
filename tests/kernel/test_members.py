"""What of a document leaves, and what an update makes of one."""

from __future__ import annotations

from typing import Any

from colonnade.kernel import members, models
from colonnade.kernel.store import Scope, Stored


def stored(**document: Any) -> Stored:
    key = Scope("aws", "123456789012", "us-east-1", "sagemaker", "X").key("x")
    return Stored(key, 1, document, 10.0, 20.0, "", "", False)


def test_nested_members_that_the_shape_does_not_tell_stay_inside() -> None:
    shape = models.operation("sagemaker", "DescribeWorkforce").output_shape
    assert shape is not None
    told = members.visible(
        shape.members["Workforce"],
        stored(
            WorkforceName="crowd",
            OidcConfig={"ClientId": "id", "ClientSecret": "s"},
            _Own=1,
            CognitoConfig={},
        ),
    )
    assert told == {
        "WorkforceName": "crowd",
        "OidcConfig": {"ClientId": "id"},
        "CreateDate": 10.0,
        "LastUpdatedDate": 20.0,
    }


def test_a_document_has_the_last_word_about_its_times() -> None:
    shape = models.operation("sagemaker", "DescribeModel").output_shape
    assert shape is not None
    assert members.visible(shape, stored(CreationTime=5.0))["CreationTime"] == 5.0


def test_an_update_replaces_merges_adds_and_removes() -> None:
    document: dict[str, Any] = {
        "Description": "old",
        "Settings": {"a": 1, "b": 2},
        "Properties": {"x": "1", "y": "2"},
        "Aliases": ["one"],
    }
    given = {
        "Description": "new",
        "SettingsForUpdate": {"b": 3},
        "PropertiesToRemove": ["x", "never there"],
        "AliasesToAdd": ["two"],
        "NamesToRemove": ["of nothing"],
    }
    members.update(document, given, merged=["Settings"])
    assert document == {
        "Description": "new",
        "Settings": {"a": 1, "b": 3},
        "Properties": {"y": "2"},
        "Aliases": ["one", "two"],
    }
