"""Resources derived from the service model: name them, and their ordinary operations exist.

    MODELS = Resource("sagemaker", "Model", missing='Could not find model "{arn}".', ...)
    MODELS.serve("Describe", "List", "Delete")

Names, ARNs, required members, constraints, pages, sorting, filters and answers come from botocore's shapes. What a
resource *does* is written by hand, on top of `create`, `change`, `get` and `remove`. Documents hold the wire members as they came plus
what the service adds; members that start with `_` are Colonnade's own and never leave.

Lookup ignores case and ARNs are lower-cased, as SageMaker does; the document keeps the name as it was written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from colonnade.kernel import arns, models, operations
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Effect, Result
from colonnade.kernel.pages import list_page
from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import wake
from colonnade.kernel.store import Document, Event, Key, Reader, Scope, Stored, Transaction

Edit = Callable[[Document], None]
Also = Callable[[Transaction, Key], None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error's code and text; the text may use {arn}, {name}, {account} and {region}."""

    code: str
    text: str


class Resource:
    """A noun of a service. `noun` is the model's spelling: `TrainingJob` of CreateTrainingJob."""

    def __init__(
        self,
        service: str,
        noun: str,
        *,
        arn_kind: str,
        missing: Refusal,
        duplicate: Refusal,
        status_member: str = "",
        effect: Effect = Effect.REAL,
    ) -> None:
        self.service = service
        self.noun = noun
        self.arn_kind = arn_kind
        self.status_member = status_member
        self.effect = effect
        self._missing = missing
        self._duplicate = duplicate
        _by_noun[service, noun] = self
        _by_arn_kind[service, arn_kind] = self
        operations.resource_finder(service, _acted_on)

    # Names

    @cached_property
    def name_member(self) -> str:
        return f"{self.noun}Name"

    @cached_property
    def arn_member(self) -> str:
        return f"{self.noun}Arn"

    def scope(self, account: str, region: str) -> Scope:
        return Scope(arns.partition_of(region), account, region, self.service, self.noun)

    def key(self, call: Call, name: str | None = None) -> Key:
        """The key of the resource that a call names, or of the one named `name` where the call comes from."""
        text = call.parameters[self.name_member] if name is None else name
        return self.scope(call.account, call.region).key(str(text).lower())

    def arn(self, key: Key) -> str:
        return str(
            arns.Arn(key.partition, self.service, key.region, key.account, f"{self.arn_kind}/{key.name}")
        )

    # Errors

    def missing(self, key: Key) -> ServiceError:
        return self._refuse(self._missing, key)

    def duplicate(self, key: Key) -> ServiceError:
        return self._refuse(self._duplicate, key)

    def _refuse(self, refusal: Refusal, key: Key) -> ServiceError:
        text = refusal.text.format(arn=self.arn(key), name=key.name, account=key.account, region=key.region)
        return ServiceError(refusal.code, text)

    # What hand-written operations and reconcilers build on

    def get(self, reader: Reader, key: Key) -> Stored:
        """Raises the resource's own missing error."""
        stored = reader.get(key)
        if stored is None:
            raise self.missing(key)
        return stored

    def find(self, platform: Platform, key: Key) -> Stored:
        with platform.store.read() as reader:
            return self.get(reader, key)

    def create(
        self,
        call: Call,
        extra: Mapping[str, Any] | None = None,
        *,
        active: bool = False,
        also: Also | None = None,
    ) -> Result:
        """Keep the request with what the service adds, in one transaction with history, audit and what `also` writes;
        answer the ARN. Raises the resource's duplicate error. `active` hands it to its reconciler."""
        key = self.key(call)
        document = {**call.parameters, **(extra or {}), self.arn_member: self.arn(key)}
        with call.write() as transaction:
            if transaction.get(key) is not None:
                raise self.duplicate(key)
            self._put(transaction, key, document, call.now, expect=0, owner=call.invoked_by, active=active)
            if also is not None:
                also(transaction, key)
        if active:
            wake(call.platform, key)
        return {self.arn_member: document[self.arn_member]}

    def change(
        self, transaction: Transaction, key: Key, edit: Edit, *, at: float, active: bool | None = None
    ) -> Stored:
        """Edit the document within a transaction; `active` None leaves the reconciler's attention as it is.
        Raises the missing error. What `edit` raises aborts the transaction."""
        stored = self.get(transaction, key)
        edit(stored.document)
        keeps = stored.active if active is None else active
        return self._put(
            transaction, key, stored.document, at, expect=stored.version, owner=stored.owner, active=keeps
        )

    def update(self, platform: Platform, key: Key, edit: Edit, *, active: bool | None = None) -> Stored:
        """`change` in a transaction of its own: the reconcilers' way to write."""
        with platform.store.write() as transaction:
            return self.change(transaction, key, edit, at=platform.clock.now(), active=active)

    def remove(self, transaction: Transaction, key: Key, *, at: float) -> None:
        """Raises the missing error."""
        if not transaction.delete(key):
            raise self.missing(key)
        transaction.append(Event("history", str(key), at, {"removed": True}))

    def _put(
        self,
        transaction: Transaction,
        key: Key,
        document: Document,
        at: float,
        *,
        expect: int,
        owner: str,
        active: bool,
    ) -> Stored:
        status = str(document.get(self.status_member, "")) if self.status_member else ""
        before = transaction.get(key)
        if before is None or before.status != status:
            transaction.append(Event("history", str(key), at, {"status": status, "arn": self.arn(key)}))
        return transaction.put(key, document, expect=expect, at=at, status=status, owner=owner, active=active)

    # The ordinary operations

    def serve(self, *verbs: str) -> None:
        """Register ordinary operations: any of Create, Describe, List, Update, Delete.

        They are found (`colonnade where DeleteModel`) in the noun's file, where this is called, not here.
        """
        caller = sys._getframe(1)
        functions = {
            "Create": Resource.create,
            "Describe": Resource.describe,
            "List": Resource.list,
            "Update": Resource.replace_members,
            "Delete": Resource.delete,
        }
        for verb in verbs:
            name = f"List{plural(self.noun)}" if verb == "List" else f"{verb}{self.noun}"
            function = functions[verb]
            operations.add(
                self.service,
                name,
                partial(function, self),
                effect=self.effect,
                module=str(caller.f_globals["__name__"]),
                line=caller.f_lineno,
            )

    def describe(self, call: Call) -> Result:
        return self.answer(call, self.find(call.platform, self.key(call)))

    def answer(self, call: Call, stored: Stored) -> Result:
        """The members of a stored resource that the called operation's output declares."""
        shape = models.operation(call.service, call.operation).output_shape
        return {} if shape is None else visible(shape, stored)

    def list(self, call: Call) -> Result:
        return list_page(call, self.scope(call.account, call.region), visible)

    def replace_members(self, call: Call) -> Result:
        key = self.key(call)
        with call.write() as transaction:
            stored = self.change(
                transaction, key, lambda document: document.update(call.parameters), at=call.now
            )
        return self.answer(call, stored)

    def delete(self, call: Call) -> Result:
        with call.write() as transaction:
            self.remove(transaction, self.key(call), at=call.now)
        return {}


_by_noun: dict[tuple[str, str], Resource] = {}
_by_arn_kind: dict[tuple[str, str], Resource] = {}


def by_arn(text: str) -> tuple[Resource, Key] | None:
    """The resource type and key that an ARN names; None for a type that nobody registered. ValueError for a non-ARN."""
    arn = arns.Arn.parse(text)
    resource = _by_arn_kind.get((arn.service, arn.kind))
    if resource is None:
        return None
    return resource, resource.scope(arn.account, arn.region).key(arn.name.lower())


def visible(shape: models.Shape, stored: Stored) -> dict[str, Any]:
    """What a shape's members say of a stored resource. Absent members stay absent, and so do empty structures: the SDKs
    fail on `VpcConfig: {}`."""
    known = {"CreationTime": stored.created, "LastModifiedTime": stored.modified, **stored.document}
    return {
        member: known[member]
        for member in shape.members
        if member in known and known[member] is not None and known[member] != {}
    }


def plural(noun: str) -> str:
    if noun.endswith("y"):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith("s") else "s")


def _acted_on(call: Call) -> str:
    """The ARN that a call acts on, from its noun and parameters; "*" where it names none."""
    for verb in ("Create", "Describe", "Update", "Delete", "Stop", "Start", "Invoke"):
        noun = call.operation.removeprefix(verb)
        resource = _by_noun.get((call.service, noun)) if noun != call.operation else None
        if resource is not None and resource.name_member in call.parameters:
            return resource.arn(resource.key(call))
    arn = call.parameters.get("ResourceArn")
    return arn if isinstance(arn, str) else "*"
