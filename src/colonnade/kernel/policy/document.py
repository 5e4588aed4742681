"""Policy documents: from JSON text to compiled statements, or MalformedPolicyDocument with what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.policy.conditions import Condition, Presence, conditions
from colonnade.kernel.policy.patterns import Context, Pattern, pattern


class MalformedPolicyDocument(ServiceError):  # noqa: N818 - AWS's name
    """IAM's and STS's own code. Other services catch it and say it by theirs (S3: MalformedPolicy)."""

    def __init__(self, message: str) -> None:
        super().__init__("MalformedPolicyDocument", message, status=400)


class Kind(Enum):
    IDENTITY = "identity"
    """Of a user, role or group: Resource, and no Principal."""
    TRUST = "trust"
    """Of a role, who may assume it: Principal, and no Resource."""
    RESOURCE = "resource"
    """Of a bucket, a key: Principal and Resource."""


@dataclass(frozen=True, slots=True)
class Statement:
    sid: str
    allows: bool
    actions: tuple[Pattern, ...]
    except_actions: bool
    """NotAction: everything but `actions`."""
    resources: tuple[Pattern, ...]
    except_resources: bool
    principals: frozenset[str] | None
    """As `names_of` spells them; None in identity policies. `"*"` is everybody."""
    except_principals: bool
    conditions: tuple[Condition | Presence, ...]

    @property
    def varies(self) -> bool:
        """Whether a resource holds variables, so that even `concerns` depends on the request's context."""
        return any(each.varies for each in self.resources)

    def speaks_of(self, action: str) -> bool:
        """Whether it can concern this action."""
        if any(each.varies for each in self.actions):
            return True
        return any(each.matches(action, {}) for each in self.actions) != self.except_actions

    def concerns(self, action: str, resource: str, names: frozenset[str], context: Context) -> bool:
        """Everything but the conditions."""
        return (
            any(each.matches(action, context) for each in self.actions) != self.except_actions
            and (
                not self.resources
                or any(each.matches(resource, context) for each in self.resources) != self.except_resources
            )
            and (
                self.principals is None
                or ("*" in self.principals or not names.isdisjoint(self.principals)) != self.except_principals
            )
        )


_MOST_ACTIONS = 256


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    """What a simulation calls it."""
    kind: Kind
    statements: tuple[Statement, ...]
    text: str
    _speaking: dict[str, tuple[Statement, ...]] = field(
        default_factory=dict, compare=False, hash=False, repr=False
    )
    """By action: what `speaking` found. A policy is compiled once and asked about few actions."""

    def speaking(self, action: str) -> tuple[Statement, ...]:
        """The statements that may concern an action, whatever the resource and the context: most speak of others."""
        found = self._speaking.get(action)
        if found is None:
            if len(self._speaking) >= _MOST_ACTIONS:
                self._speaking.clear()
            found = tuple(each for each in self.statements if each.speaks_of(action))
            self._speaking[action] = found
        return found

    @property
    def condition_names(self) -> frozenset[str]:
        """The keys that its conditions ask for, as they are spelled."""
        return frozenset(condition.name for each in self.statements for condition in each.conditions)


@lru_cache(maxsize=4096)
def parse(text: str, kind: Kind = Kind.IDENTITY, name: str = "") -> Policy:
    """Raises MalformedPolicyDocument. The same text is compiled once."""
    try:
        document = _document(text)
        _only(document, ("Version", "Id", "Statement"), "the policy")
        version = document.get("Version", "2008-10-17")
        if version not in ("2012-10-17", "2008-10-17"):
            raise ValueError(f'Version must be "2012-10-17" or "2008-10-17", not {version!r}')
        listed = document.get("Statement")
        statements = listed if isinstance(listed, list) else [listed]
        if not statements:
            raise ValueError("Statement must hold at least one statement")
        compiled = tuple(_at(i, each, kind, version == "2012-10-17") for i, each in enumerate(statements, 1))
    except ValueError as error:
        raise MalformedPolicyDocument(str(error)) from None
    except RecursionError:
        raise MalformedPolicyDocument("Syntax errors in policy: it is nested too deeply") from None
    sids = [each.sid for each in compiled if each.sid]
    if kind is not Kind.RESOURCE and len(sids) != len(set(sids)):
        raise MalformedPolicyDocument("Statement IDs (SID) in a single policy must be unique.")
    return Policy(name, kind, compiled, text)


def _document(text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text, object_pairs_hook=_unique)
    except ValueError as error:
        raise ValueError(f"Syntax errors in policy: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("Syntax errors in policy: it must be a JSON object")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON parsers differ on repeated keys; a Deny must not vanish by one."""
    document = dict(pairs)
    if len(document) != len(pairs):
        repeated = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise ValueError(f"the key {repeated!r} is given twice in one object")
    return document


def _at(number: int, statement: object, kind: Kind, variables: bool) -> Statement:
    try:
        return _statement(statement, kind, variables)
    except ValueError as error:
        raise ValueError(f"{error} (statement {number})") from None


_MEMBERS = (
    "Sid",
    "Effect",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Principal",
    "NotPrincipal",
    "Condition",
)


def _statement(statement: object, kind: Kind, variables: bool) -> Statement:
    if not isinstance(statement, dict):
        raise ValueError(f"Syntax errors in policy: a statement must be an object, not {statement!r}")
    _only(statement, _MEMBERS, "a statement")
    effect = statement.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise ValueError(f'Effect must be "Allow" or "Deny", not {effect!r}')
    actions, except_actions = _either(statement, "Action", "Policy statement must contain actions.")
    principals, except_principals = _principals(statement, kind)
    resources, except_resources = _resources(statement, kind)
    return Statement(
        sid=_sid(statement.get("Sid", ""), kind),
        allows=effect == "Allow",
        actions=tuple(pattern(_action(text), variables=False, ignore_case=True) for text in actions),
        except_actions=except_actions,
        resources=tuple(pattern(text, variables=variables) for text in resources),
        except_resources=except_resources,
        principals=principals,
        except_principals=except_principals,
        conditions=conditions(statement.get("Condition", {}), variables=variables),
    )


def _only(given: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"Syntax errors in policy: {what} cannot hold {', '.join(map(repr, unknown))}")


def _either(statement: Mapping[str, Any], member: str, missing: str) -> tuple[list[str], bool]:
    """The texts of `Action` or `NotAction` (one of both), and whether it was the negative one."""
    if member in statement and f"Not{member}" in statement:
        raise ValueError(f"Syntax errors in policy: {member} and Not{member} exclude each other")
    negative = f"Not{member}" in statement
    value = statement.get(f"Not{member}" if negative else member, [])
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"Syntax errors in policy: {member} must be strings, not {value!r}")
    if not texts:
        raise ValueError(missing)
    return texts, negative


_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?_-]+")


def _action(text: str) -> str:
    if not _ACTION.fullmatch(text):
        if re.search(r"[*?].*:", text):
            raise ValueError(f"Vendors must not contain wildcards: {text!r}")
        raise ValueError(
            f"Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.: {text!r}"
        )
    return text


def _resources(statement: Mapping[str, Any], kind: Kind) -> tuple[list[str], bool]:
    if kind is Kind.TRUST:
        for member in ("Resource", "NotResource"):
            if member in statement:
                raise ValueError(f"Has prohibited field {member}")
        return [], False
    texts, negative = _either(statement, "Resource", "Policy statement must contain resources.")
    for text in texts:
        if text != "*" and not text.startswith("arn:"):
            raise ValueError(f'Resource {text} must be in ARN format or "*".')
    return texts, negative


def _sid(sid: object, kind: Kind) -> str:
    if not isinstance(sid, str) or (kind is Kind.IDENTITY and not re.fullmatch(r"[A-Za-z0-9]*", sid)):
        raise ValueError(
            f"Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
            f"[0-9A-Za-z]*: {sid!r}"
        )
    return sid


def _principals(statement: Mapping[str, Any], kind: Kind) -> tuple[frozenset[str] | None, bool]:
    given = [member for member in ("Principal", "NotPrincipal") if member in statement]
    if kind is Kind.IDENTITY:
        if given:
            raise ValueError("Policy document should not specify a principal.")
        return None, False
    if len(given) != 1:
        raise ValueError(
            "Missing required field Principal" if not given else "Principal and NotPrincipal at once"
        )
    value = statement[given[0]]
    if value == "*":
        return frozenset("*"), given[0] == "NotPrincipal"
    if not isinstance(value, dict) or not value:
        raise ValueError(
            f'Invalid principal in policy: {value!r} (want "*" or an object such as {{"AWS": "..."}})'
        )
    names = [_principal(scheme, text) for scheme, texts in value.items() for text in _listed(scheme, texts)]
    return frozenset(names), given[0] == "NotPrincipal"


def _listed(scheme: str, value: object) -> list[str]:
    texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    whole = len(texts) == (len(value) if isinstance(value, list) else 1)
    if scheme not in ("AWS", "Service", "Federated", "CanonicalUser") or not texts or not whole:
        raise ValueError(f'Invalid principal in policy: "{scheme}":{json.dumps(value)}')
    return texts


_ROOT = re.compile(r"arn:[a-z-]+:iam::(\d{12}):root")


def _principal(scheme: str, text: str) -> str:
    """One spelling for each, so that matching is set intersection: an account has two in documents."""
    if scheme != "AWS":
        return f"{scheme}/{text}"
    if text == "*":
        return "*"
    account = _ROOT.fullmatch(text)
    if account or re.fullmatch(r"\d{12}", text):
        return f"account/{account[1] if account else text}"
    if "*" in text or not (text.startswith("arn:") or re.fullmatch(r"A[A-Z0-9]{15,}", text)):
        raise ValueError(f'Invalid principal in policy: "AWS":"{text}"')
    return text
