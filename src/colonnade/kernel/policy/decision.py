"""What a set of policies makes of a request. Explicit deny wins, then any allow, else the answer is no."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from colonnade.kernel.policy.document import Policy, Statement

if TYPE_CHECKING:
    from colonnade.kernel.ports import Principal


class Outcome(Enum):
    """Valued as IAM's simulator words them."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


@dataclass(frozen=True, slots=True)
class Match:
    policy: Policy
    statement: Statement


@dataclass(frozen=True, slots=True)
class Decision:
    outcome: Outcome
    matched: tuple[Match, ...] = ()
    """The statements behind the outcome: the denying ones, else the allowing ones."""
    conditional: bool = False
    """Whether a condition or a variable was consulted: if not, the answer may be kept for as long as the policies."""

    @property
    def allowed(self) -> bool:
        return self.outcome is Outcome.ALLOWED


def decide(
    policies: Iterable[Policy],
    action: str,
    resource: str,
    *,
    names: frozenset[str] = frozenset(),
    context: Mapping[str, object] | None = None,
) -> Decision:
    """`names` say who asks (`names_of`), for policies with principals; `context` holds the condition keys, in any case."""
    lowered = {key.lower(): value for key, value in (context or {}).items()}
    allowing: list[Match] = []
    denying: list[Match] = []
    conditional = False
    for policy in policies:
        for statement in policy.speaking(action):
            # A pattern with variables may match for the next request and not for this one.
            conditional = conditional or statement.varies
            if not statement.concerns(action, resource, names, lowered):
                continue
            conditional = conditional or bool(statement.conditions)
            if all(condition.holds(lowered) for condition in statement.conditions):
                (allowing if statement.allows else denying).append(Match(policy, statement))
    if denying:
        return Decision(Outcome.EXPLICIT_DENY, tuple(denying), conditional)
    outcome = Outcome.ALLOWED if allowing else Outcome.IMPLICIT_DENY
    return Decision(outcome, tuple(allowing), conditional)


def intersection(decisions: Iterable[Decision]) -> Decision:
    """All must allow: an identity's policies with its boundary and its session's policies."""
    every = list(decisions)
    return _combined(every, bool(every) and all(decision.allowed for decision in every))


def union(decisions: Iterable[Decision]) -> Decision:
    """One must allow and none deny: an identity's policies with the resource's own, within one account."""
    every = list(decisions)
    return _combined(every, any(decision.allowed for decision in every))


def _combined(decisions: list[Decision], allowed: bool) -> Decision:
    conditional = any(decision.conditional for decision in decisions)
    denying = [each for each in decisions if each.outcome is Outcome.EXPLICIT_DENY]
    if denying:
        outcome, behind = Outcome.EXPLICIT_DENY, denying
    elif allowed:
        outcome, behind = Outcome.ALLOWED, decisions
    else:
        outcome, behind = Outcome.IMPLICIT_DENY, []
    return Decision(outcome, tuple(match for each in behind for match in each.matched), conditional)


def names_of(principal: Principal, *, with_account: bool = True) -> frozenset[str]:
    """All that a policy's Principal may call this one. `with_account=False` leaves out the account as a whole: a policy
    naming the account only lets the account's own policies decide."""
    if principal.kind == "service":
        return service_name(principal.arn)
    if principal.kind == "anonymous":
        return frozenset()
    if principal.kind == "root":
        return frozenset({f"account/{principal.account}"})
    names = {principal.arn, principal.identity_arn or principal.arn, principal.user_id}
    names.add(principal.user_id.partition(":")[0])
    if with_account:
        names.add(f"account/{principal.account}")
    return frozenset(names)


def service_name(host: str) -> frozenset[str]:
    """`sagemaker.amazonaws.com`, as policies name services."""
    return frozenset({f"Service/{host}"})
