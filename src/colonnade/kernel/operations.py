"""What an operation is, and how one is called.

`@operation("sagemaker", "StopTrainingJob")` on a function is all that an operation takes: routing, parsing, validation,
errors, the IAM action, the audit record, coverage and docs follow from the service model. The gateway calls operations for
clients, `invoke()` for the platform's own parts; both are authorised and audited alike.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from colonnade.kernel import arns, models
from colonnade.kernel.errors import ServiceError, not_implemented
from colonnade.kernel.platform import Platform
from colonnade.kernel.policy.decision import Decision, Outcome
from colonnade.kernel.policy.document import Kind
from colonnade.kernel.ports import Principal, Principals
from colonnade.kernel.store import Event, Scope, Transaction

Parameters = Mapping[str, Any]
Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one operation: who asks what, where, when, and the platform to do it with.

    `parameters` hold wire member names; timestamps are epoch seconds (float), blobs bytes, a streaming body an object
    with `read(size) -> bytes`. Absent members are absent.
    """

    service: str
    operation: str
    parameters: Parameters
    principal: Principal
    platform: Platform
    account: str
    region: str
    request_id: str
    now: float
    invoked_by: str = ""
    """Text of the resource's key on whose behalf the platform itself calls; empty for a client."""
    source: str = ""
    """The client's address, for audit and policy conditions; empty inside."""
    details: dict[str, Any] = field(default_factory=dict)
    """What the gateway must hand to one protocol's operations beside the model (S3's presigned host, say)."""

    @property
    def partition(self) -> str:
        return arns.partition_of(self.region)

    def scope(self, type: str, *, service: str | None = None, regional: bool = True) -> Scope:
        return Scope(
            self.partition, self.account, self.region if regional else "", service or self.service, type
        )

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A store transaction that also records this call in the audit journal: both happen or neither."""
        with self.platform.store.write() as transaction:
            yield transaction
            transaction.append(self.audit_event())

    def audit_event(self) -> Event:
        body: dict[str, Any] = {
            "eventName": self.operation,
            "eventSource": self.service,
            "awsRegion": self.region,
            "requestID": self.request_id,
            "userIdentity": {"arn": self.principal.arn, "type": self.principal.kind},
            "sourceIPAddress": self.source or "colonnade",
        }
        if self.invoked_by:
            body["invokedBy"] = self.invoked_by
        return Event("audit", f"{self.service}:{self.operation}", self.now, body)


class Effect(Enum):
    """What docs/operations.md says of an operation: does work happen behind it, or are documents kept?"""

    REAL = "real"
    STORED = "stored"


Handler = Callable[[Call], Result | None]
Demand = Callable[[Call], Sequence[tuple[str, str]]]
"""The (IAM action, resource ARN) pairs that the caller must all be allowed."""
Conditions = Callable[[Call], Mapping[str, Any]]
"""The condition keys of its own that an operation offers to policies: `s3:prefix`."""


@dataclass(frozen=True, slots=True)
class Operation:
    service: str
    name: str
    handler: Handler
    effect: Effect
    demand: Demand | None
    conditions: Conditions | None
    mutates: bool
    module: str
    line: int
    at_once: Handler | None = None
    """Tries to answer on the gateway's event loop, where nobody may wait: a look-up or two in the store, or what lies in memory.
    None means that it takes the handler after all."""


_registered: dict[tuple[str, str], Operation] = {}


def operation(
    service: str,
    name: str,
    *,
    effect: Effect = Effect.REAL,
    demand: Demand | None = None,
    conditions: Conditions | None = None,
    at_once: Handler | None = None,
    quick: bool = False,
) -> Callable[[Handler], Handler]:
    """Register a function as the operation. `demand` is only for services whose IAM actions are not their operations'
    names (S3) or whose resource cannot be read from the parameters. A `quick` one always answers at once."""

    def register(handler: Handler) -> Handler:
        now = handler if quick else at_once
        add(service, name, handler, effect=effect, demand=demand, conditions=conditions, at_once=now)
        return handler

    return register


def add(
    service: str,
    name: str,
    handler: Handler,
    *,
    effect: Effect,
    demand: Demand | None = None,
    conditions: Conditions | None = None,
    module: str = "",
    line: int = 0,
    at_once: Handler | None = None,
) -> None:
    """Register without the decorator; `module` and `line` say where the code stands when the handler cannot."""
    if (service, name) in _registered:
        raise ValueError(f"{service}:{name} is registered twice: see {_registered[service, name].module}")
    if not module:
        module, line = handler.__module__, inspect.unwrap(handler).__code__.co_firstlineno
    mutates = not name.startswith(
        ("Describe", "List", "Get", "Head", "Search", "Batch", "Query", "Simulate", "Filter")
    )
    _registered[service, name] = Operation(
        service, name, handler, effect, demand, conditions, mutates, module, line, at_once
    )


def find(service: str, name: str) -> Operation:
    """Raises the not-implemented ServiceError, naming the operation."""
    try:
        return _registered[service, name]
    except KeyError:
        raise not_implemented(service, name) from None


def registered() -> Mapping[tuple[str, str], Operation]:
    return _registered


ResourceOf = Callable[[Call], str]
_resource_finders: dict[str, ResourceOf] = {}


def resource_finder(service: str, finder: ResourceOf) -> None:
    _resource_finders[service] = finder


def finds_resources(service: str) -> Callable[[ResourceOf], ResourceOf]:
    """Mark how a service's calls name the ARN they act on, for policies; without one it is "*"."""

    def register(finder: ResourceOf) -> ResourceOf:
        resource_finder(service, finder)
        return finder

    return register


def demands(target: Operation, call: Call) -> Sequence[tuple[str, str]]:
    if target.demand is not None:
        return target.demand(call)
    finder = _resource_finders.get(target.service)
    prefix = models.service(target.service).action_prefix
    return [(f"{prefix}:{target.name}", finder(call) if finder else "*")]


Judge = Callable[[Call, str, str, Mapping[str, Any] | None], Decision]
"""What all policies that concern it make of (action, resource ARN, condition keys): the caller's and the resource's own."""
_judges: dict[str, Judge] = {}


def judges(service: str) -> Callable[[Judge], Judge]:
    """Mark how a service whose resources have policies of their own decides; without one the caller's policies do alone."""

    def register(judge: Judge) -> Judge:
        _judges[service] = judge
        return judge

    return register


def ruling(
    call: Call, action: str, resource: str, context: Mapping[str, Any] | None = None, *, service: str = ""
) -> Decision:
    """May the caller do this? For operations that ask more than their demands; `service` is whose resource it is."""
    judge = _judges.get(service or call.service)
    if judge is not None:
        return judge(call, action, resource, context)
    return call.platform.the(Principals).decide(call.principal, action, resource, context)


def authorise(target: Operation, call: Call) -> None:
    """Raises AccessDeniedException (AccessDenied in the XML protocols) unless every demand is allowed: deny by default."""
    context = _context(target, call)
    for action, resource in demands(target, call):
        decision = ruling(call, action, resource, context, service=target.service)
        if not decision.allowed:
            raise _denied(target, call, action, resource, decision)


def _context(target: Operation, call: Call) -> Mapping[str, Any] | None:
    own = target.conditions(call) if target.conditions else {}
    return {**own, "aws:SourceIp": call.source} if call.source else own or None


def _denied(target: Operation, call: Call, action: str, resource: str, decision: Decision) -> ServiceError:
    protocol = models.service(target.service).protocol
    xml = protocol in ("query", "rest-xml")
    return ServiceError(
        "AccessDenied" if xml else "AccessDeniedException",
        f"User: {call.principal.arn} is not authorized to perform: {action} on resource: {resource} "
        + _why(target, call, action, resource, decision),
        # What has no routes knows no statuses either: RPC in JSON or CBOR refuses everything by 400.
        status=400 if protocol in ("json", "smithy-rpc-v2-cbor") else 403,
    )


def _why(target: Operation, call: Call, action: str, resource: str, decision: Decision) -> str:
    if decision.outcome is Outcome.EXPLICIT_DENY:
        of_resource = any(match.policy.kind is Kind.RESOURCE for match in decision.matched)
        return f"with an explicit deny in {'a resource' if of_resource else 'an identity'}-based policy"
    own = target.service not in _judges or not call.platform.the(Principals).allows(
        call.principal, action, resource, _context(target, call)
    )
    return f"because no {'identity' if own else 'resource'}-based policy allows the action"


def perform(call: Call) -> Result:
    """Authorise, then run: a call from within. Parameters are valid already. The gateway takes these steps one by one, among
    others and without a thread where it can (`gateway/chain.py`)."""
    target = find(call.service, call.operation)
    authorise(target, call)
    return target.handler(call) or {}


def invoke(
    platform: Platform,
    service: str,
    name: str,
    parameters: Parameters,
    *,
    principal: Principal,
    region: str,
    owner: str,
) -> Result:
    """How the platform's own parts call operations: as a role, in the name of the resource `owner` (its key's text)."""
    call = Call(
        service=service,
        operation=name,
        parameters=parameters,
        principal=principal,
        platform=platform,
        account=principal.account,
        region=region,
        request_id=platform.ids.uuid(),
        now=platform.clock.now(),
        invoked_by=owner,
    )
    return perform(call)


def with_parameters(call: Call, **changed: Any) -> Call:
    return replace(call, parameters={**call.parameters, **changed})
