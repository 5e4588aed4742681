"""The policy language: what matches, what wins, what is refused."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.kernel.policy import (
    Decision,
    Kind,
    MalformedPolicyDocument,
    Outcome,
    decide,
    intersection,
    names_of,
    parse,
    service_name,
    union,
)
from colonnade.kernel.policy.patterns import pattern
from colonnade.kernel.ports import Principal

ENDPOINT = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/churn"


def document(*statements: dict[str, Any], version: str = "2012-10-17") -> str:
    return json.dumps({"Version": version, "Statement": list(statements)})


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def outcome(
    *statements: dict[str, Any],
    action: str = "sagemaker:InvokeEndpoint",
    resource: str = ENDPOINT,
    context: dict[str, Any] | None = None,
    version: str = "2012-10-17",
) -> Outcome:
    return decide([parse(document(*statements, version=version))], action, resource, context=context).outcome


def test_nothing_is_allowed_that_no_statement_allows() -> None:
    assert outcome(allow("s3:GetObject")) is Outcome.IMPLICIT_DENY
    assert decide([], "s3:GetObject", "*").outcome is Outcome.IMPLICIT_DENY


def test_an_explicit_deny_wins_whatever_the_order() -> None:
    assert outcome(deny("sagemaker:Invoke*"), allow()) is Outcome.EXPLICIT_DENY
    assert outcome(allow(), deny("sagemaker:Invoke*")) is Outcome.EXPLICIT_DENY


def test_actions_ignore_case_and_resources_do_not() -> None:
    assert outcome(allow("SAGEMAKER:invokeendpoint")) is Outcome.ALLOWED
    assert outcome(allow("*", ENDPOINT.upper().replace("ARN:", "arn:"))) is Outcome.IMPLICIT_DENY


def test_not_action_and_not_resource_leave_out_what_they_name() -> None:
    others = {"Effect": "Allow", "NotAction": "iam:*", "NotResource": ENDPOINT}
    assert outcome(others) is Outcome.IMPLICIT_DENY
    assert outcome(others, resource=ENDPOINT + "-2") is Outcome.ALLOWED
    assert outcome(others, action="iam:CreateUser", resource="*") is Outcome.IMPLICIT_DENY


def test_variables_are_filled_in_literally() -> None:
    own = allow("s3:*", "arn:aws:s3:::home-${aws:username}/*")
    asked = {"action": "s3:GetObject", "resource": "arn:aws:s3:::home-ann/x"}
    assert outcome(own, context={"aws:username": "ann"}, **asked) is Outcome.ALLOWED
    assert outcome(own, context={"AWS:UserName": "*"}, **asked) is Outcome.IMPLICIT_DENY
    assert outcome(own, context={}, **asked) is Outcome.IMPLICIT_DENY
    assert (
        outcome(own, context={"aws:username": "ann"}, version="2008-10-17", **asked) is Outcome.IMPLICIT_DENY
    )


def test_a_variable_may_bring_a_default_and_stars_may_be_escaped() -> None:
    assert pattern("team-${aws:PrincipalTag/team, 'none'}").matches("team-none", {})
    assert pattern("a${*}b${?}${$}").matches("a*b?$", {})
    assert not pattern("a${*}b").matches("axb", {})


CONDITIONS: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({"StringEquals": {"aws:x": ["a", "b"]}}, {"aws:x": "b"}, True),
    ({"StringEquals": {"AWS:X": "a"}}, {"aws:x": "A"}, False),
    ({"StringEqualsIgnoreCase": {"aws:x": "a"}}, {"aws:x": "A"}, True),
    ({"StringEquals": {"aws:x": "a*"}}, {"aws:x": "ab"}, False),
    ({"StringLike": {"aws:x": "a*"}}, {"aws:x": "ab"}, True),
    ({"StringEquals": {"aws:x": "a"}}, {}, False),
    ({"StringNotEquals": {"aws:x": ["a", "b"]}}, {"aws:x": "b"}, False),
    ({"StringNotEquals": {"aws:x": ["a", "b"]}}, {"aws:x": "c"}, True),
    ({"StringNotEquals": {"aws:x": "a"}}, {}, True),
    ({"StringNotLike": {"aws:x": "a*"}}, {"aws:x": "ab"}, False),
    ({"StringEqualsIfExists": {"aws:x": "a"}}, {}, True),
    ({"StringEqualsIfExists": {"aws:x": "a"}}, {"aws:x": "b"}, False),
    ({"StringEquals": {"aws:x": "${aws:y}"}}, {"aws:x": "a", "aws:y": "a"}, True),
    ({"Null": {"aws:x": "true"}}, {}, True),
    ({"Null": {"aws:x": False}}, {"aws:x": "a"}, True),
    ({"Null": {"aws:x": "false"}}, {}, False),
    ({"NumericLessThan": {"aws:n": "10"}}, {"aws:n": 9}, True),
    ({"NumericLessThan": {"aws:n": 10}}, {"aws:n": "ten"}, False),
    ({"NumericGreaterThanEquals": {"aws:n": 10}}, {"aws:n": "10.0"}, True),
    ({"NumericNotEquals": {"aws:n": 10}}, {"aws:n": 10}, False),
    ({"DateLessThan": {"aws:CurrentTime": "2026-02-01T00:00:00Z"}}, {"aws:CurrentTime": "2026-01-31"}, True),
    ({"DateGreaterThan": {"aws:EpochTime": "2026-01-01"}}, {"aws:EpochTime": 1_700_000_000.0}, False),
    ({"Bool": {"aws:SecureTransport": "true"}}, {"aws:SecureTransport": True}, True),
    ({"Bool": {"aws:SecureTransport": False}}, {"aws:SecureTransport": True}, False),
    ({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "::1"]}}, {"aws:SourceIp": "10.1.2.3"}, True),
    ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:SourceIp": "11.1.2.3"}, False),
    ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:SourceIp": "nowhere"}, False),
    ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:SourceIp": "11.1.2.3"}, True),
    ({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::b*"}}, {"aws:SourceArn": "arn:aws:s3:::bucket"}, True),
    ({"ArnEquals": {"aws:SourceArn": "arn:aws:*:b"}}, {"aws:SourceArn": "arn:aws:s3:::b"}, False),
    ({"ArnNotEquals": {"aws:SourceArn": "arn:aws:s3:::b"}}, {"aws:SourceArn": "arn:aws:s3:::c"}, True),
    ({"BinaryEquals": {"x:b": "QQ=="}}, {"x:b": "QQ=="}, True),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["b", "c"]}, True),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}}, {}, False),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}}, {"aws:TagKeys": []}, False),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["b", "c"]}, False),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": "a"}}, {}, True),
    ({"ForAllValues:StringNotEquals": {"aws:TagKeys": ["a"]}}, {"aws:TagKeys": ["b", "c"]}, True),
    ({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["a"]}}, {"aws:TagKeys": ["a"]}, False),
    ({"StringEquals": {"aws:x": "a"}, "NumericEquals": {"aws:n": 1}}, {"aws:x": "a", "aws:n": 2}, False),
]


@pytest.mark.parametrize(("condition", "context", "holds"), CONDITIONS, ids=lambda value: str(value))
def test_conditions_hold_as_aws_documents_them(
    condition: dict[str, Any], context: dict[str, Any], holds: bool
) -> None:
    expected = Outcome.ALLOWED if holds else Outcome.IMPLICIT_DENY
    assert outcome(allow(Condition=condition), context=context) is expected


MALFORMED: list[tuple[str, Kind, str]] = [
    ("{", Kind.IDENTITY, "Syntax errors in policy"),
    ("[]", Kind.IDENTITY, "must be a JSON object"),
    ("[" * 100_000, Kind.IDENTITY, "nested too deeply"),
    ('{"Statement": [], "Statement": []}', Kind.IDENTITY, "'Statement' is given twice"),
    ("{}", Kind.IDENTITY, "a statement must be an object"),
    (document(allow(), version="2020-01-01"), Kind.IDENTITY, "not '2020-01-01'"),
    (document({**allow(), "Effect": "Alow"}), Kind.IDENTITY, "not 'Alow' (statement 1)"),
    (document(allow(), {**allow(), "Efect": "Deny"}), Kind.IDENTITY, "cannot hold 'Efect' (statement 2)"),
    (document({"Effect": "Allow", "Resource": "*"}), Kind.IDENTITY, "Policy statement must contain actions."),
    (document({"Effect": "Allow", "Action": "*"}), Kind.IDENTITY, "Policy statement must contain resources."),
    (document({**allow(), "NotAction": "*"}), Kind.IDENTITY, "exclude each other"),
    (document(allow("GetObject")), Kind.IDENTITY, "must be prefaced by a vendor"),
    (document(allow("s*:GetObject")), Kind.IDENTITY, "Vendors must not contain wildcards"),
    (document(allow("*", "bucket")), Kind.IDENTITY, 'Resource bucket must be in ARN format or "*".'),
    (document({**allow(), "Principal": "*"}), Kind.IDENTITY, "should not specify a principal"),
    (document(allow()), Kind.RESOURCE, "Missing required field Principal"),
    (document({**allow(), "Principal": "*"}), Kind.TRUST, "Has prohibited field Resource"),
    (document({**allow(), "Principal": {"AWS": "ann"}}), Kind.RESOURCE, '"AWS":"ann"'),
    (document({**allow(), "Principal": {"Aws": "*"}}), Kind.RESOURCE, '"Aws":"*"'),
    (document(allow(Sid="a"), allow(Sid="a")), Kind.IDENTITY, "must be unique"),
    (document(allow(Sid="a b")), Kind.IDENTITY, "alpha-numeric"),
    (document(allow(Condition={"StringSimilar": {"a": "b"}})), Kind.IDENTITY, "Invalid Condition type"),
    (document(allow(Condition={"NumericEquals": {"a": "b"}})), Kind.IDENTITY, "not a number: 'b'"),
    (document(allow(Condition={"IpAddress": {"a": "b"}})), Kind.IDENTITY, "not an IP address"),
    (document(allow(Condition={"Bool": {"a": {}}})), Kind.IDENTITY, "must be strings, numbers or booleans"),
]


@pytest.mark.parametrize(("text", "kind", "reason"), MALFORMED, ids=[case[2] for case in MALFORMED])
def test_a_malformed_document_is_refused_with_what_is_wrong(text: str, kind: Kind, reason: str) -> None:
    with pytest.raises(MalformedPolicyDocument) as refusal:
        parse(text, kind)
    assert reason in str(refusal.value)
    assert refusal.value.code == "MalformedPolicyDocument"


ANN = Principal("arn:aws:iam::123456789012:user/ann", "123456789012", "AIDAANNANNANNANNANN", "user")


@pytest.mark.parametrize(
    ("principal", "allowed"),
    [
        ("*", True),
        ({"AWS": "*"}, True),
        ({"AWS": ["arn:aws:iam::123456789012:user/bob", ANN.arn]}, True),
        ({"AWS": ANN.user_id}, True),
        ({"AWS": "arn:aws:iam::123456789012:root"}, True),
        ({"AWS": "123456789012"}, True),
        ({"AWS": "210987654321"}, False),
        ({"Service": "sagemaker.amazonaws.com"}, False),
    ],
)
def test_a_resource_policy_allows_those_it_names(principal: Any, allowed: bool) -> None:
    policy = parse(document({**allow(), "Principal": principal}), Kind.RESOURCE)
    assert decide([policy], "s3:GetObject", "*", names=names_of(ANN)).allowed is allowed


def test_naming_the_account_leaves_the_choice_to_its_own_policies() -> None:
    policy = parse(document({**allow(), "Principal": {"AWS": ANN.account}}), Kind.RESOURCE)
    direct = decide([policy], "s3:GetObject", "*", names=names_of(ANN, with_account=False))
    assert not direct.allowed


def test_not_principal_denies_everybody_else() -> None:
    statement = {**deny(), "NotPrincipal": {"Service": "sagemaker.amazonaws.com"}}
    policy = parse(document(statement), Kind.RESOURCE)
    assert decide([policy], "a:b", "*", names=names_of(ANN)).outcome is Outcome.EXPLICIT_DENY
    service = decide([policy], "a:b", "*", names=service_name("sagemaker.amazonaws.com"))
    assert service.outcome is Outcome.IMPLICIT_DENY


def test_decisions_combine_by_intersection_and_union() -> None:
    yes, no, never = (
        Decision(each) for each in (Outcome.ALLOWED, Outcome.IMPLICIT_DENY, Outcome.EXPLICIT_DENY)
    )
    assert intersection([yes, yes]).outcome is Outcome.ALLOWED
    assert intersection([yes, no]).outcome is Outcome.IMPLICIT_DENY
    assert intersection([yes, no, never]).outcome is Outcome.EXPLICIT_DENY
    assert intersection([]).outcome is Outcome.IMPLICIT_DENY
    assert union([no, yes]).outcome is Outcome.ALLOWED
    assert union([yes, never]).outcome is Outcome.EXPLICIT_DENY


def test_a_decision_says_whether_it_may_be_kept() -> None:
    def conditional(*statements: dict[str, Any]) -> bool:
        return decide([parse(document(*statements))], "sagemaker:InvokeEndpoint", ENDPOINT).conditional

    when = {"Bool": {"aws:SecureTransport": "true"}}
    assert not conditional(allow())
    assert not conditional(allow(), deny("s3:*", Condition=when))
    assert conditional(allow(), deny(Condition=when))
    assert conditional(allow("*", "arn:aws:s3:::${aws:username}"))
    assert not conditional(allow(), deny("s3:*", "arn:aws:s3:::${aws:username}")), "it speaks of others"


def test_a_policy_that_is_asked_about_ever_new_actions_answers_as_at_first_and_keeps_little() -> None:
    policy = parse(document(allow("s3:Get*"), deny("s3:GetObject3"), allow("sagemaker:*")))
    asked = [f"s3:GetObject{number}" for number in range(1000)]

    first = [decide([policy], action, "*").outcome for action in asked]
    again = [decide([policy], action, "*").outcome for action in asked]

    assert first == again
    assert first.count(Outcome.ALLOWED) == 999
    assert first[3] is Outcome.EXPLICIT_DENY
    assert len(policy._speaking) < 300


def test_a_pattern_full_of_stars_stays_quick() -> None:
    assert not pattern("*a" * 60 + "b").matches("a" * 4000, {})


def fits(pattern_text: str, text: str) -> bool:
    """The slow and obvious matcher, by dynamic programming."""
    row = [True] + [False] * len(text)
    for symbol in pattern_text:
        after = [row[0] and symbol == "*"]
        for i, character in enumerate(text):
            if symbol == "*":
                after.append(after[i] or row[i + 1])
            else:
                after.append(row[i] and symbol in ("?", character))
        row = after
    return row[-1]


@given(st.text("ab:*?.[\n", max_size=12), st.text("ab:*?.[\n", max_size=16))
def test_wildcards_match_as_the_obvious_matcher_says(pattern_text: str, text: str) -> None:
    assert pattern(pattern_text).matches(text, {}) is fits(pattern_text, text)


ACTIONS = st.sampled_from(["*", "s3:*", "s3:Get*", "s3:GetObject", "sagemaker:*", "iam:CreateUser"])
RESOURCES = st.sampled_from(["*", "arn:aws:s3:::a", "arn:aws:s3:::a/*", "arn:aws:s3:::?", ENDPOINT])
STATEMENTS = st.builds(
    lambda effect, action, negative_action, resource, negative_resource: {
        "Effect": effect,
        "NotAction" if negative_action else "Action": action,
        "NotResource" if negative_resource else "Resource": resource,
    },
    st.sampled_from(["Allow", "Deny"]),
    ACTIONS,
    st.booleans(),
    RESOURCES,
    st.booleans(),
)
ASKED = st.tuples(
    st.sampled_from(["s3:GetObject", "s3:PutObject", "iam:CreateUser", "sagemaker:InvokeEndpoint"]),
    st.sampled_from(["*", "arn:aws:s3:::a", "arn:aws:s3:::a/b", ENDPOINT]),
)


@given(st.lists(STATEMENTS, min_size=1, max_size=6), STATEMENTS, ASKED)
def test_adding_a_deny_never_allows_more(
    statements: list[dict[str, Any]], added: dict[str, Any], asked: tuple[str, str]
) -> None:
    before = decide([parse(document(*statements))], *asked)
    after = decide([parse(document(*statements, {**added, "Effect": "Deny"}))], *asked)
    assert before.allowed or not after.allowed


@given(st.lists(STATEMENTS, min_size=1, max_size=6), ASKED, st.integers())
def test_the_order_of_statements_means_nothing(
    statements: list[dict[str, Any]], asked: tuple[str, str], seed: int
) -> None:
    shuffled = random.Random(seed).sample(statements, len(statements))
    assert (
        decide([parse(document(*statements))], *asked).outcome
        is decide([parse(document(*shuffled))], *asked).outcome
    )


WORDS = st.sampled_from(
    [
        "Version",
        "2012-10-17",
        "Statement",
        "Effect",
        "Action",
        "Resource",
        "Principal",
        "AWS",
        "*",
        "Null",
        "Sid",
        "${",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=20,
)


@settings(max_examples=300)
@given(JSON, st.sampled_from(list(Kind)))
def test_any_json_is_either_a_policy_or_malformed(value: Any, kind: Kind) -> None:
    whole = {
        "Version": "2012-10-17",
        "Statement": [{**allow(), **value} if isinstance(value, dict) else value],
    }
    for text in (json.dumps(value), json.dumps(whole)):
        try:
            policy = parse(text, kind)
        except MalformedPolicyDocument:
            continue
        decide([policy], "s3:GetObject", "arn:aws:s3:::a", context={"aws:username": "ann"})
