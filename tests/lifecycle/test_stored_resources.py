"""Every resource that is only stored, by one suite: found in the registry, requests made from the model, over a real socket."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from colonnade import app
from colonnade.kernel import models, operations, resources
from colonnade.kernel.operations import Effect
from colonnade.kernel.resources import Resource
from wire.valid import ValidValues
from wire.values import for_botocore

app.load_operations()
Tick = Callable[[], float]


def _is(verb: str, noun: str) -> bool:
    written = operations.registered().get(("sagemaker", verb + noun))
    return written is not None and written.effect is Effect.STORED


NOUNS = {
    each.noun: each
    for each in resources.registered()
    # An endpoint configuration names models that work: tests/lifecycle/deploy has it.
    if each.service == "sagemaker" and _is("Create", each.noun) and each.noun != "EndpointConfig"
}


def _by_part(noun: str) -> str:
    """The filter of a list by a part of the name; empty where it has none."""
    shape = models.operation("sagemaker", f"List{resources.plural(noun)}").input_shape
    return next((name for name in shape.members if name.endswith("NameContains")), "") if shape else ""


every_noun = pytest.mark.parametrize("noun", NOUNS)
_CONTENT = {"intended_uses": {"purpose_of_model": "to be described"}}


def test_all_that_is_meant_to_be_stored_is_found() -> None:
    assert len(NOUNS) >= 33


class Story:
    """Requests about one noun, with what must exist before it."""

    def __init__(self, sagemaker: Any, noun: str) -> None:
        self.sagemaker = sagemaker
        self.resource: Resource = NOUNS[noun]
        self.noun = noun
        self.made = 0
        self.parents = {
            member: Story(sagemaker, parent.noun).create()[1][member]
            for member, parent in self.resource.within.items()
        }

    @property
    def called(self) -> str:
        """The member of the name that people gave it."""
        return str(_ODD.get(self.noun, {}).get("called", self.resource.name_member))

    def input(self, verb: str) -> Any:
        return models.operation("sagemaker", verb + self.noun).input_shape

    def output(self, verb: str) -> Any:
        shape = models.operation("sagemaker", verb + self.noun).output_shape
        wrapped = None if shape is None else shape.members.get(self.noun)
        return shape if wrapped is None else wrapped

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        shape = models.operation("sagemaker", operation).input_shape
        answer = getattr(self.sagemaker, _snake(operation))(**for_botocore(shape, parameters))
        answer.pop("ResponseMetadata")
        return dict(answer)

    def request(self, verb: str = "Create") -> dict[str, Any]:
        """Random and valid: all members but those that ask for what is refused."""
        self.made += 1
        shape = self.input(verb)
        odd = _ODD.get(self.noun, {})
        skip = frozenset({*self.resource.not_yet, *odd.get("skip", ())})
        values = ValidValues(f"{verb} {self.noun} {self.made}")
        request = values.structure(shape, skip=skip)
        request.update(
            {each: values.of(shape.members[each], 1) for each in odd.get("need", ()) if each not in request}
        )
        given = {**self.parents, **odd.get("give", {})}
        request.update({member: value for member, value in given.items() if member in shape.members})
        if "Tags" in request:
            request["Tags"] = [{"Key": "team", "Value": "a"}, {"Key": "stage", "Value": "b"}]
        return request

    def create(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What was sent, and all that names what was made."""
        request = self.request()
        answer = self.call(f"Create{self.noun}", request)
        names = {**request, **answer}
        if "ModelPackageArn" in answer:
            names["ModelPackageName"] = answer["ModelPackageArn"]
        if self.resource.numbered and self.noun == "ImageVersion":
            names["Version"] = int(answer["ImageVersionArn"].rsplit("/", 1)[1])
        return request, names

    def naming(self, verb: str, names: Mapping[str, Any]) -> dict[str, Any]:
        wanted = {*self.resource.named, self.resource.arn_member}
        return {
            member: names[member] for member in self.input(verb).members if member in wanted & names.keys()
        }

    def describe(self, names: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.call(f"Describe{self.noun}", self.naming("Describe", names))
        wrapped = answer.get(self.noun)
        return wrapped if isinstance(wrapped, dict) else answer

    def arn(self, names: Mapping[str, Any]) -> str:
        return str(self.describe(names)[self.resource.arn_member])

    def listed(self, **parameters: Any) -> list[dict[str, Any]]:
        return [row for page in self.pages(**parameters) for row in page]

    def pages(self, **parameters: Any) -> Iterator[list[dict[str, Any]]]:
        where = {
            member: value
            for member, value in {**self.parents, **parameters}.items()
            if member in self.input_of_list().members
        }
        while True:
            answer = self.call(self.lists(), where)
            token = answer.pop("NextToken", None)
            yield next(iter(answer.values()))
            if token is None:
                return
            where["NextToken"] = token

    def lists(self) -> str:
        return f"List{resources.plural(self.noun)}"

    def input_of_list(self) -> Any:
        return models.operation("sagemaker", self.lists()).input_shape

    def refused(self, operation: str, parameters: Mapping[str, Any]) -> tuple[str, str]:
        with pytest.raises(ClientError) as refused:
            self.call(operation, parameters)
        error = refused.value.response["Error"]
        return error["Code"], error["Message"]


_CLUSTER = "arn:aws:sagemaker:us-east-1:123456789012:cluster/abcdefghij12"
_ODD: dict[str, dict[str, Any]] = {
    "ModelCard": {"give": {"Content": json.dumps(_CONTENT)}},
    "ClusterSchedulerConfig": {
        "give": {"ClusterArn": _CLUSTER, "TargetVersion": 1},
        "called": "Name",
        "counts": ["ClusterSchedulerConfigVersion", "Status"],
    },
    "ComputeQuota": {
        "give": {"ClusterArn": _CLUSTER, "TargetVersion": 1},
        "called": "Name",
        "counts": ["ComputeQuotaVersion", "Status"],
    },
    "ModelPackage": {"skip": ["ModelPackageName"]},
    "Space": {"skip": ["OwnershipSettings"]},
    "Workforce": {"skip": ["CognitoConfig"], "need": ["OidcConfig"]},
}
"""What the model does not say: members that exclude each other, contents that have a form of their own, other resources."""


def _snake(operation: str) -> str:
    from botocore import xform_name

    return str(xform_name(operation))


def cut(shape: Any, value: Any) -> Any:
    """What of a value a shape can tell."""
    if isinstance(value, Mapping) and shape.type_name == "structure":
        return {name: cut(shape.members[name], item) for name, item in value.items() if name in shape.members}
    if isinstance(value, list):
        return [cut(shape.member, item) for item in value]
    if isinstance(value, Mapping) and shape.type_name == "map":
        return {key: cut(shape.value, item) for key, item in value.items()}
    return value


def assert_told(shape: Any, sent: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    """Everything that was sent and that the shape can tell is told."""
    expected = {member: value for member, value in cut(shape, sent).items() if value != {}}
    for member, value in for_botocore(shape, expected).items():
        if isinstance(value, dict):
            assert told[member].items() >= value.items(), member
        else:
            assert told[member] == value, member


@pytest.fixture
def story(sagemaker: Any, noun: str) -> Story:
    return Story(sagemaker, noun)


@every_noun
def test_what_was_sent_is_described(story: Story, noun: str) -> None:
    for _ in range(3):
        sent, names = story.create()
        if noun == "ModelPackage":
            sent.pop("ClientToken", None)
        told = story.describe(names)
        named = {member: sent.pop(member) for member in list(sent) if member in story.resource.named}
        assert_told(story.output("Describe"), sent, told)
        for member, value in named.items():
            assert told.get(member, value) == value
        arn = told[story.resource.arn_member]
        assert re.fullmatch(rf"arn:aws:sagemaker:us-east-1:123456789012:{story.resource.arn_kind}/\S+", arn)
        assert None not in told.values()
        assert {} not in told.values()


@every_noun
def test_a_list_finds_each_once_page_by_page(story: Story, noun: str, tick: Tick) -> None:
    made = []
    for _ in range(3):
        tick()
        made.append(story.describe(story.create()[1]))
    pages = list(story.pages(MaxResults=2))
    assert [len(page) for page in pages] == [2, 1]
    rows = [row for page in pages for row in page]
    member = next(name for name in (story.resource.arn_member, story.resource.name_member) if name in made[0])
    known = {told[member] for told in made} | {told[story.resource.name_member] for told in made}
    for row in rows:
        assert known & {str(value) for value in row.values() if isinstance(value, str | int)} or (
            row.get("Version") in known
        )
    assert len({json.dumps(row, default=str, sort_keys=True) for row in rows}) == 3


@every_noun
def test_lists_heed_order_and_times(story: Story, noun: str, tick: Tick) -> None:
    shape = story.input_of_list()
    for _ in range(3):
        tick()
        last = story.describe(story.create()[1])
    rows = story.listed()
    if "SortOrder" in shape.members:
        up, down = sorted(shape.members["SortOrder"].enum)
        assert story.listed(SortOrder=up) == list(reversed(story.listed(SortOrder=down)))
    for column in shape.members["SortBy"].enum if "SortBy" in shape.members else []:
        if column == "AccountIdOwner":
            assert story.refused(story.lists(), {"SortBy": column})[0] == "NotImplementedException"
            continue
        sorted_rows = story.listed(SortBy=column, SortOrder=up)
        assert sorted(sorted_rows, key=rows.index) == rows
        if column.replace("_", "").lower().endswith("name") and noun != "ModelPackage":
            names = [row.get(story.called) or row["MonitoringJobDefinitionName"] for row in sorted_rows]
            assert [name.lower() for name in names] == sorted(name.lower() for name in names)
    before = next((name for name in ("CreationTimeBefore", "CreatedBefore") if name in shape.members), None)
    if before is not None and "CreationTime" in last:
        older = story.listed(**{before: last["CreationTime"].timestamp()})
        assert len(older) == 2
        assert all(row in rows for row in older)


@pytest.mark.parametrize("noun", [noun for noun in NOUNS if _by_part(noun) and noun != "ModelPackage"])
def test_names_are_found_by_a_part_of_them(story: Story, noun: str) -> None:
    contains = _by_part(noun)
    story.create()
    _, names = story.create()
    name = names[story.called]
    (row,) = story.listed(**{contains: name[3:].upper()})
    assert name in row.values()


@pytest.mark.parametrize("noun", [noun for noun in NOUNS if _is("Update", noun)])
def test_an_update_changes_what_it_names_and_nothing_else(story: Story, noun: str, tick: Tick) -> None:
    _, names = story.create()
    before = story.describe(names)
    given = {
        member: value
        for member, value in story.request("Update").items()
        if not member.endswith(("ToRemove", "ToAdd", "ToDelete")) and member != "DeleteProperties"
    }
    if noun == "ModelCard":
        given.pop("ModelCardStatus", None)
    for member in (*story.resource.named, story.resource.arn_member, "Alias"):
        given.pop(member, None)
    tick()
    story.call(f"Update{noun}", {**given, **story.naming("Update", names)})
    after = story.describe(names)
    assert_told(story.output("Describe"), given, after)
    changed = {member for member in after if after[member] != before.get(member)}
    touched = {member.removesuffix("ForUpdate") for member in given}
    counted = {"LastModifiedTime", "LastUpdatedDate", "ModelCardVersion", "CreationTime"}
    assert changed <= {*touched, *counted, *_ODD.get(noun, {}).get("counts", ())}


@every_noun
def test_tags_come_with_it_and_go_with_it(story: Story, noun: str) -> None:
    sent, names = story.create()
    arn = story.arn(names)
    assert story.call("ListTags", {"ResourceArn": arn})["Tags"] == sent.get("Tags", [])
    story.call("AddTags", {"ResourceArn": arn, "Tags": [{"Key": "stage", "Value": "c"}]})
    assert {"Key": "stage", "Value": "c"} in story.call("ListTags", {"ResourceArn": arn})["Tags"]
    story.call(f"Delete{noun}", story.naming("Delete", names))
    _, text = story.refused("ListTags", {"ResourceArn": arn})
    assert arn in text


@pytest.mark.parametrize(
    "noun", [noun for noun, each in NOUNS.items() if not (each.generate or each.numbered)]
)
def test_a_name_is_given_once(story: Story, noun: str) -> None:
    sent, names = story.create()
    code, text = story.refused(f"Create{noun}", sent)
    assert code == _declared("Create", noun, ("ResourceInUse", "ConflictException"))
    assert "already exist" in text
    assert story.arn(names) in text or sent[story.resource.name_member] in text


@every_noun
def test_what_was_deleted_is_missing(story: Story, noun: str) -> None:
    _, names = story.create()
    _, others = story.create()
    arn = story.arn(names)
    story.call(f"Delete{noun}", story.naming("Delete", names))
    for verb in ("Describe", "Delete"):
        code, text = story.refused(f"{verb}{noun}", story.naming(verb, names))
        assert code in ("ResourceNotFound", "ValidationException")
        assert arn in text
    assert story.describe(others)
    assert len(story.listed()) == 1


def _declared(verb: str, noun: str, codes: tuple[str, ...]) -> str:
    declared = {shape.name for shape in models.operation("sagemaker", verb + noun).error_shapes}
    if noun in ("Trial", "ModelPackageGroup"):
        return "ValidationException"
    return next((code for code in codes if code in declared), "ValidationException")


@pytest.mark.parametrize(
    ("noun", "filter_", "value_of"),
    [
        ("Action", "SourceUri", lambda told: told["Source"]["SourceUri"]),
        ("Action", "ActionType", lambda told: told["ActionType"]),
        ("Context", "SourceUri", lambda told: told["Source"]["SourceUri"]),
        ("Context", "ContextType", lambda told: told["ContextType"]),
        ("Artifact", "ArtifactType", lambda told: told["ArtifactType"]),
        ("ModelCard", "ModelCardStatus", lambda told: told["ModelCardStatus"]),
        ("StudioLifecycleConfig", "AppTypeEquals", lambda told: told["StudioLifecycleConfigAppType"]),
        ("UserProfile", "DomainIdEquals", lambda told: told["DomainId"]),
        ("Trial", "ExperimentName", lambda told: told["ExperimentName"]),
    ],
)
def test_a_filter_finds_those_that_have_the_value(
    story: Story, noun: str, filter_: str, value_of: Callable[[Mapping[str, Any]], str]
) -> None:
    made = [story.describe(story.create()[1]) for _ in range(6)]
    arn = story.resource.arn_member if noun != "UserProfile" else "UserProfileName"
    for value in {value_of(told) for told in made}:
        wanted = {told[arn] for told in made if value_of(told) == value}
        assert {row[arn] for row in story.listed(**{filter_: value})} == wanted
