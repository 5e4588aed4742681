"""`StoredPrincipals`: whose key this is, and what they may do, for the request chain and the platform's own parts.

The snapshot is lazy: what a request needs is read from the store once and kept until the signal `identity` says that
something changed, then all is forgotten. So a renewal costs nothing, memory holds only those who call, and a key or a
session made by another process is found at its first use. Decisions are kept too, unless a condition had a part in them.

A lookup that misses reads the store; one that hits touches nothing but dictionaries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from colonnade.cloud.iam import aws_managed, entities
from colonnade.kernel.arns import Arn
from colonnade.kernel.clock import Clock
from colonnade.kernel.errors import validation
from colonnade.kernel.policy import (
    Decision,
    Kind,
    Outcome,
    Policy,
    decide,
    intersection,
    names_of,
    parse,
    service_name,
    union,
)
from colonnade.kernel.ports import Credential, Principal
from colonnade.kernel.signals import Signals
from colonnade.kernel.store import Document, Reader, Scope, Store

SESSIONS = Scope("", "", "", "sts", "session")
"""Where STS keeps the credentials that it gives out."""

_MISSING_FOR = 1.0
"""Seconds for which an unknown key is not looked up again."""
_KEEP = 20_000
"""Entries of a cache before it starts anew."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the store says of a user or role, ready to decide by."""

    arn: str
    name: str
    id: str
    policies: tuple[Policy, ...]
    """Its own, its attached ones, its groups'."""
    boundary: Policy | None
    trust: Policy | None
    tags: Mapping[str, str]


@dataclass(slots=True)
class _Snapshot:
    credentials: dict[str, Credential] = field(default_factory=dict)
    missing: dict[str, float] = field(default_factory=dict)
    identities: dict[str, Identity | None] = field(default_factory=dict)
    decisions: dict[tuple[object, ...], Decision] = field(default_factory=dict)


class StoredPrincipals:
    """Implements `kernel.ports.Principals`. Safe to use from several threads: a snapshot is replaced, never emptied."""

    def __init__(
        self, store: Store, clock: Clock, root: Credential, *, signals: Signals, lenient: bool = False
    ) -> None:
        """`lenient`: roles that do not exist may be assumed by services and may do everything (`--ephemeral`)."""
        self._store = store
        self._clock = clock
        self._root = root
        self._lenient = lenient
        self._snapshot = _Snapshot()
        signals.subscribe("identity", self._renew)

    def _renew(self, subject: str) -> None:
        self._snapshot = _Snapshot()

    def credential(self, access_key_id: str) -> Credential | None:
        """None for unknown and inactive keys. An expired session's is answered: who asks compares `expires`."""
        if access_key_id == self._root.access_key_id:
            return self._root
        snapshot = self._snapshot
        known = snapshot.credentials.get(access_key_id)
        if known is not None:
            return known
        now = self._clock.now()
        if now - snapshot.missing.get(access_key_id, float("-inf")) < _MISSING_FOR:
            return None
        with self._store.read() as reader:
            found = _load_credential(reader, access_key_id)
        if found is None:
            _keep(snapshot.missing, access_key_id, now)
        else:
            _keep(snapshot.credentials, access_key_id, found)
        return found

    def allows(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Any] | None = None
    ) -> bool:
        return self.decide(principal, action, resource, context).allowed

    def decide(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Any] | None = None
    ) -> Decision:
        """`allows` with the reasons, for whoever must tell an explicit deny from silence (trust, bucket policies)."""
        # All that tells one from another, as texts, which are hashed faster than a Principal.
        who = (principal.arn, principal.user_id, principal.kind, principal.identity_arn)
        asked = (*who, principal.session_policies, action, resource)
        snapshot = self._snapshot
        kept = snapshot.decisions.get(asked)
        if kept is not None:
            return kept
        decision = self._decide(principal, action, resource, context or {})
        if not decision.conditional:
            _keep(snapshot.decisions, asked, decision)
        return decision

    def decide_with(
        self,
        principal: Principal,
        action: str,
        resource: str,
        policy: Policy,
        context: Mapping[str, Any] | None = None,
        *,
        alone: bool = False,
    ) -> Decision:
        identity = self.identity(principal.identity_arn) if principal.kind in ("user", "role") else None
        full = {**self._facts(principal, identity), **(context or {})}
        whole, root = (
            decide([policy], action, resource, names=names_of(principal), context=full),
            principal.kind == "root",
        )
        named = decide([policy], action, resource, names=names_of(principal, with_account=root), context=full)
        own = self.decide(principal, action, resource, context)
        if Outcome.EXPLICIT_DENY in (own.outcome, whole.outcome):
            return union([own, whole])
        if named.allowed and self._may_be_granted(principal, identity, action, resource, full):
            return named
        if own.allowed and (whole.allowed or not alone):
            return own
        return Decision(Outcome.IMPLICIT_DENY, conditional=True)

    def _may_be_granted(
        self,
        principal: Principal,
        identity: Identity | None,
        action: str,
        resource: str,
        context: Mapping[str, Any],
    ) -> bool:
        """Whether a resource's policy can give it to the principal: one that still is who it was, within what narrows it."""
        if principal.kind not in ("user", "role"):
            return _narrowed(Decision(Outcome.ALLOWED), principal, action, resource, context).allowed
        if identity is None:
            return self._lenient and _is_role(principal.identity_arn)
        if identity.id != principal.user_id.partition(":")[0]:
            return False
        narrowed = _narrowed(Decision(Outcome.ALLOWED), principal, action, resource, context)
        if identity.boundary is not None and principal.kind == "role":
            within = decide([identity.boundary], action, resource, context=context)
            narrowed = intersection([narrowed, within])
        return narrowed.allowed

    def identity(self, arn: str) -> Identity | None:
        snapshot = self._snapshot
        if arn not in snapshot.identities:
            with self._store.read() as reader:
                _keep(snapshot.identities, arn, load_identity(reader, arn))
        return snapshot.identities.get(arn)

    def assume_for_service(self, role_arn: str, service: str, session: str) -> Principal:
        role = self.identity(role_arn)
        if role is None and self._lenient and _is_role(role_arn):
            return session_of_role(role_arn, "AROALENIENTROLE", session)
        if role is None or role.trust is None or not _trusts_service(role.trust, role_arn, service):
            raise validation(
                f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
                f"'{service}' to assume the role."
            )
        return session_of_role(role_arn, role.id, session)

    def _decide(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Any]
    ) -> Decision:
        if principal.kind == "root":
            return _narrowed(Decision(Outcome.ALLOWED), principal, action, resource, context)
        if principal.kind not in ("user", "role"):
            return Decision(Outcome.IMPLICIT_DENY)
        identity = self.identity(principal.identity_arn)
        if identity is not None and identity.id != principal.user_id.partition(":")[0]:
            # Somebody else by the same name: a session does not outlive its role by the role being made anew.
            return Decision(Outcome.IMPLICIT_DENY)
        full = {**self._facts(principal, identity), **context}
        if identity is not None:
            decision = decide_for(identity, action, resource, full)
        else:
            made_up = self._lenient and _is_role(principal.identity_arn)
            decision = Decision(Outcome.ALLOWED if made_up else Outcome.IMPLICIT_DENY)
        return _narrowed(decision, principal, action, resource, full)

    def _facts(self, principal: Principal, identity: Identity | None) -> dict[str, Any]:
        """The condition keys that identity and time give; the request's own come from the caller."""
        now = self._clock.now()
        facts: dict[str, Any] = {
            "aws:CurrentTime": datetime.fromtimestamp(now, UTC).isoformat(),
            "aws:EpochTime": now,
            "aws:PrincipalArn": principal.identity_arn or principal.arn,
            "aws:PrincipalAccount": principal.account,
            "aws:PrincipalType": {"user": "User", "role": "AssumedRole"}.get(principal.kind, principal.kind),
            "aws:userid": principal.user_id,
        }
        if identity is not None:
            facts |= {f"aws:PrincipalTag/{tag}": value for tag, value in identity.tags.items()}
            if principal.kind == "user":
                facts["aws:username"] = identity.name
        return facts


def decide_for(identity: Identity, action: str, resource: str, context: Mapping[str, Any]) -> Decision:
    decision = decide(identity.policies, action, resource, context=context)
    if identity.boundary is None:
        return decision
    return intersection([decision, decide([identity.boundary], action, resource, context=context)])


def _narrowed(
    decision: Decision, principal: Principal, action: str, resource: str, context: Mapping[str, Any]
) -> Decision:
    """Several session policies allow together what any of them allows; none can widen what the identity may."""
    if not principal.session_policies:
        return decision
    policies = [parse(text) for text in principal.session_policies]
    return intersection([decision, decide(policies, action, resource, context=context)])


def session_of_role(role_arn: str, role_id: str, session: str) -> Principal:
    arn = Arn.parse(role_arn)
    name = arn.resource.rpartition("/")[2]
    return Principal(
        arn=f"arn:{arn.partition}:sts::{arn.account}:assumed-role/{name}/{session}",
        account=arn.account,
        user_id=f"{role_id}:{session}",
        kind="role",
        identity_arn=role_arn,
    )


def load_identity(reader: Reader, arn: str) -> Identity | None:
    stored = entities.by_arn(reader, arn)
    kind = entities.ENTITY_TYPES.get(stored.key.type) if stored else None
    if stored is None or kind is None:
        return None
    document = stored.document
    boundary = document.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    trust = document.get("AssumeRolePolicyDocument")
    return Identity(
        arn=arn,
        name=document[kind.name_member],
        id=document[kind.id_member],
        policies=tuple(policies_of(reader, kind, document, stored.key.scope)),
        boundary=(managed(reader, boundary) or _NOTHING) if boundary else None,
        trust=parse(trust, Kind.TRUST) if trust else None,
        tags={tag["Key"]: tag["Value"] for tag in document.get("Tags", ())},
    )


_NOTHING = Policy("", Kind.IDENTITY, (), "")
"""What a boundary that is gone allows."""


def policies_of(reader: Reader, kind: entities.EntityType, document: Document, scope: Scope) -> list[Policy]:
    """Named as the policy simulator names them: `user_ann_reading` inline, `AmazonS3FullAccess` attached."""
    owner = f"{kind.type}_{document[kind.name_member]}"
    inline = document.get("InlinePolicies", {})
    found = [parse(text, name=f"{owner}_{name}") for name, text in inline.items()]
    attached = (managed(reader, arn) for arn in document.get("AttachedPolicies", ()))
    found += [policy for policy in attached if policy is not None]
    for group in document.get("Groups", ()):
        stored = reader.get(Scope(scope.partition, scope.account, "", "iam", "group").key(group.lower()))
        if stored is not None:
            found += policies_of(reader, entities.GROUP, stored.document, scope)
    return found


def managed(reader: Reader, arn: str) -> Policy | None:
    """The default version of a managed policy, AWS's or the account's own."""
    text = aws_managed.document_text(arn)
    if text is None:
        stored = entities.by_arn(reader, arn)
        if stored is None:
            return None
        text = stored.document["Versions"][stored.document["DefaultVersionId"]]["Document"]
    return parse(text, name=arn.rpartition("/")[2])


def _load_credential(reader: Reader, access_key_id: str) -> Credential | None:
    stored = reader.get(entities.KEYS.key(access_key_id))
    if stored is not None:
        return _of_user(reader, stored.document)
    stored = reader.get(SESSIONS.key(access_key_id))
    return None if stored is None else _of_session(access_key_id, stored.document)


def _of_user(reader: Reader, key: Document) -> Credential | None:
    user = entities.by_arn(reader, key["UserArn"])
    if user is None or key["Status"] != "Active":
        return None
    principal = Principal(
        arn=user.document["Arn"],
        account=user.key.account,
        user_id=user.document["UserId"],
        kind="user",
        identity_arn=user.document["Arn"],
    )
    return Credential(key["AccessKeyId"], key["SecretAccessKey"], None, None, principal)


def _of_session(access_key_id: str, session: Document) -> Credential:
    who = session["Principal"]
    principal = Principal(**{**who, "session_policies": tuple(who["session_policies"])})
    return Credential(
        access_key_id, session["SecretAccessKey"], session["SessionToken"], session["Expires"], principal
    )


def _is_role(arn: str) -> bool:
    key = entities.key_of_arn(arn)
    return key is not None and key.type == "role"


def _trusts_service(trust: Policy, role_arn: str, service: str) -> bool:
    context = {"aws:SourceAccount": Arn.parse(role_arn).account}
    names = service_name(service)
    return decide([trust], "sts:AssumeRole", role_arn, names=names, context=context).allowed


def _keep(cache: dict[Any, Any], key: Any, value: Any) -> None:
    if len(cache) >= _KEEP:
        cache.clear()
    cache[key] = value
