"""The policy simulator: what would be decided, and by which statements. The SageMaker SDK asks it before training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from colonnade.cloud.iam import aws_managed
from colonnade.cloud.iam.entities import ENTITY_TYPES, key_of_arn, no_such
from colonnade.cloud.iam.pages import page
from colonnade.cloud.iam.principals import Identity, load_identity
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.policy import Decision, Kind, Match, Policy, decide, intersection, parse, union


@operation("iam", "SimulatePrincipalPolicy")
def simulate_principal_policy(call: Call) -> Result:
    identity = _source(call)
    context = {f"aws:PrincipalTag/{tag}": value for tag, value in identity.tags.items()}
    context["aws:PrincipalArn"] = identity.arn
    if ":user/" in identity.arn:
        context["aws:username"] = identity.name
    boundaries = _given(call, "PermissionsBoundaryPolicyInputList")
    if not boundaries and identity.boundary is not None:
        boundaries = [identity.boundary]
    return _simulate(call, [*identity.policies, *_given(call, "PolicyInputList")], boundaries, context)


@operation("iam", "SimulateCustomPolicy")
def simulate_custom_policy(call: Call) -> Result:
    return _simulate(
        call, _given(call, "PolicyInputList"), _given(call, "PermissionsBoundaryPolicyInputList"), {}
    )


def _source(call: Call) -> Identity:
    arn = call.parameters["PolicySourceArn"]
    key = key_of_arn(arn)
    kind = ENTITY_TYPES.get(key.type) if key else None
    if key is None or kind is None:
        raise ServiceError(
            "InvalidInput",
            f"Invalid Entity Arn: {arn} does not clearly define entity type and name.",
            status=400,
        )
    with call.platform.store.read() as reader:
        identity = load_identity(reader, arn)
    if identity is None:
        raise no_such(kind, arn.rpartition("/")[2])
    return identity


def _given(call: Call, member: str) -> list[Policy]:
    texts: Sequence[str] = call.parameters.get(member, ())
    return [parse(text, name=f"{member}.{place}") for place, text in enumerate(texts, 1)]


def _simulate(
    call: Call, policies: Sequence[Policy], boundaries: Sequence[Policy], known: dict[str, Any]
) -> Result:
    context = known | {
        entry["ContextKeyName"]: entry["ContextKeyValues"]
        for entry in call.parameters.get("ContextEntries", ())
        if entry.get("ContextKeyName") and entry.get("ContextKeyValues")
    }
    asked = [
        (action, resource)
        for action in call.parameters["ActionNames"]
        for resource in call.parameters.get("ResourceArns", ["*"])
    ]
    rows = ((f"{place:06d}", pair) for place, pair in enumerate(asked))
    return page(
        call, "EvaluationResults", rows, lambda pair: _result(call, policies, boundaries, context, *pair)
    )


def _result(
    call: Call,
    policies: Sequence[Policy],
    boundaries: Sequence[Policy],
    context: dict[str, Any],
    action: str,
    resource: str,
) -> dict[str, Any]:
    decision = decide(policies, action, resource, context=context)
    more: dict[str, Any] = {}
    if boundaries:
        bound = decide(boundaries, action, resource, context=context)
        more["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": bound.allowed}
        decision = intersection([decision, bound])
    decision = _with_resource_policy(call, decision, action, resource, context)
    return {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": decision.outcome.value,
        "MatchedStatements": [_matched(match) for match in decision.matched],
        "MissingContextValues": _missing([*policies, *boundaries], action, resource, context),
        **more,
    }


def _with_resource_policy(
    call: Call, decision: Decision, action: str, resource: str, context: dict[str, Any]
) -> Decision:
    text = call.parameters.get("ResourcePolicy")
    if text is None:
        return decision
    caller = call.parameters.get("CallerArn") or call.parameters.get("PolicySourceArn")
    if caller is None:
        raise ServiceError(
            "InvalidInput", "A ResourcePolicy needs the CallerArn that it is about.", status=400
        )
    own = decide(
        [parse(text, Kind.RESOURCE, "ResourcePolicy")],
        action,
        resource,
        names=frozenset({caller}),
        context=context,
    )
    return union([decision, own])


def _matched(match: Match) -> dict[str, str]:
    """AWS adds the place in the text, which would need a parser that keeps it; the policy's name is what people look for."""
    return {"SourcePolicyId": match.policy.name, "SourcePolicyType": _type_of(match.policy)}


def _type_of(policy: Policy) -> str:
    owner = policy.name.partition("_")[0]
    if policy.kind is Kind.RESOURCE:
        return "resource"
    if owner in ENTITY_TYPES and "_" in policy.name:
        return owner
    if policy.name.partition(".")[0].endswith("InputList"):
        return "none"
    return "aws-managed" if aws_managed.is_named(policy.name) else "user-managed"


def _missing(policies: Sequence[Policy], action: str, resource: str, context: dict[str, Any]) -> list[str]:
    """Condition keys of the statements in question that nobody gave a value for."""
    known = {key.lower(): value for key, value in context.items()}
    return sorted(
        {
            condition.name
            for policy in policies
            for statement in policy.statements
            if statement.concerns(action, resource, frozenset(), known)
            for condition in statement.conditions
            if condition.key not in known
        }
    )
