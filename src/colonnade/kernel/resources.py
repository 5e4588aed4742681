"""Resources derived from the service model: name them, and their ordinary operations exist.

    MODELS = Resource("sagemaker", "Model", missing=Refusal("ValidationException", 'Could not find model "{arn}".'), ...)
    MODELS.serve("Describe", "List", "Delete")

Names, ARNs, required members, constraints, pages, sorting, filters and answers come from botocore's shapes. What a
resource *does* is written by hand, on top of `create`, `change`, `get` and `remove`. Documents hold the wire members as they came plus
what the service adds; members that start with `_` are Colonnade's own and never leave.

Lookup ignores case and ARNs are lower-cased, as SageMaker does; the document keeps the name as it was written. Where a call may
give a name or an ARN, both find it. A resource within another has both names in its key: `d-1/ann` for a user profile.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from colonnade.kernel import arns, members, models, operations
from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.members import visible
from colonnade.kernel.operations import Call, Effect, Result
from colonnade.kernel.pages import UNDERSTOOD, Keep, list_page
from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import wake
from colonnade.kernel.store import Document, Event, Key, Query, Reader, Scope, Stored, Transaction, each

_TOKENS = ("ClientToken", "ClientRequestToken")
Edit = Callable[[Document], None]
Also = Callable[[Transaction, Key], None]
Born = Callable[[Call], Mapping[str, Any]]
Holds = Callable[[Reader, Stored], str]
"""Why a resource cannot be deleted now; empty when it can."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error's code and text; the text may use {arn}, {name}, {account} and {region}. With an empty code, the one of
    ResourceInUse, ConflictException, ResourceNotFound that the model declares for the operation, else ValidationException."""

    code: str
    text: str


class Resource:
    """A noun of a service. `noun` is the model's spelling: `TrainingJob` of CreateTrainingJob."""

    def __init__(
        self,
        service: str,
        noun: str,
        *,
        arn_kind: str = "",
        arn_member: str = "",
        named: Sequence[str] = (),
        generate: Callable[[Call, Document], str] | None = None,
        within: Mapping[str, Resource] | None = None,
        numbered: str = "",
        born: Mapping[str, Any] | Born | None = None,
        merged: Sequence[str] = (),
        derived: Callable[[Document], Mapping[str, Any]] | None = None,
        not_yet: Mapping[str, str] | None = None,
        missing: Refusal | None = None,
        duplicate: Refusal | None = None,
        in_use: str = "",
        status_member: str = "",
        effect: Effect = Effect.REAL,
    ) -> None:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", noun).lower()
        self.service = service
        self.noun = noun
        self.words = words
        self.arn_kind = arn_kind or words.replace(" ", "-")
        self.arn_member = arn_member or f"{noun}Arn"
        self.named = tuple(named) or (f"{noun}Name",)
        """The members that name it, outermost first; all of them are in its key and ARN."""
        self.generate = generate
        """Makes the last part of the key where the caller does not give it; called when parents have numbered it."""
        self.within = dict(within or {})
        """By member: what must exist for it to be created, and cannot be deleted before it."""
        self.numbered = numbered
        """The last naming member where the parent counts its children: a version. Numbers are not given twice."""
        self.born = born or {}
        """Members that the service adds at creation."""
        self.merged = frozenset(merged)
        """Structures and maps that an update lays over the old instead of replacing them."""
        self.derived = derived or _nothing
        """Members that descriptions and summaries have though the document has not."""
        self.not_yet = dict(not_yet or {})
        """Members that ask for work which nobody would do, each with a remedy: a request that gives one is refused."""
        self.status_member = status_member
        self.effect = effect
        self._missing = missing or Refusal("", f'Could not find {words} "{{arn}}".')
        self._duplicate = duplicate or Refusal("", f'Cannot create already existing {words} "{{arn}}".')
        self._in_use = in_use
        """The code when something holds it, where the model does not declare what AWS answers."""
        self._holds: list[Holds] = []
        for member, parent in self.within.items():
            parent.holds(partial(self._first_within, member))
        _by_noun[service, noun] = self
        _by_arn_kind[service, self.arn_kind] = self
        operations.resource_finder(service, _acted_on)

    # Names

    @property
    def name_member(self) -> str:
        return self.named[-1]

    def scope(self, account: str, region: str) -> Scope:
        return Scope(arns.partition_of(region), account, region, self.service, self.noun)

    def key(self, call: Call, name: str | None = None) -> Key:
        """The key of the resource that a call names, or of the one named `name` where the call comes from."""
        given = [call.parameters[member] for member in self.named] if name is None else [name]
        return self.scope(call.account, call.region).key(self._name(call, given))

    def _name(self, call: Call, given: Sequence[Any]) -> str:
        last = str(given[-1])
        if not last.startswith("arn:"):
            return "/".join(_bare(part) for part in given)
        try:
            arn = arns.Arn.parse(last)
        except ValueError as error:
            raise validation(f"Invalid {self.name_member}: {error}.") from None
        if (arn.service, arn.account, arn.region, arn.kind) != (
            self.service,
            call.account,
            call.region,
            self.arn_kind,
        ):
            raise self._refuse(self._missing, last, last, call.account, call.region, "Describe")
        return arn.name.lower()

    def arn(self, key: Key) -> str:
        return str(
            arns.Arn(key.partition, self.service, key.region, key.account, f"{self.arn_kind}/{key.name}")
        )

    # Errors

    def missing(self, key: Key) -> ServiceError:
        return self._refuse(self._missing, self.arn(key), key.name, key.account, key.region, "Describe")

    def duplicate(self, key: Key, written: str = "") -> ServiceError:
        """`written` is the name as the caller wrote it."""
        return self._refuse(
            self._duplicate, self.arn(key), written or key.name, key.account, key.region, "Create"
        )

    def _refuse(
        self, refusal: Refusal, arn: str, name: str, account: str, region: str, verb: str
    ) -> ServiceError:
        text = refusal.text.format(arn=arn, name=name, account=account, region=region)
        return ServiceError(refusal.code or self._declared(verb), text)

    def _declared(self, verb: str) -> str:
        declared = {shape.name for shape in models.operation(self.service, verb + self.noun).error_shapes}
        wanted = ("ResourceNotFound",) if verb == "Describe" else ("ResourceInUse", "ConflictException")
        return next((code for code in wanted if code in declared), "ValidationException")

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
        answer the ARN and other members of the output. Raises the resource's duplicate error, and a parent's missing error.
        `active` hands it to its reconciler. A request with the idempotency token of an earlier one gets its answer."""
        self._check_promises(call)
        born = self.born(call) if callable(self.born) else self.born
        document = {**call.parameters, **born, **(extra or {})}
        with call.write() as transaction:
            earlier = self._numbered_before(transaction, call)
            if earlier is not None:
                return self.answer(call, earlier)
            self._enter(transaction, call, document)
            key = self.scope(call.account, call.region).key(self._new_name(call, document))
            earlier = transaction.get(key)
            if earlier is not None and _same_token(call, earlier):
                return self.answer(call, earlier)
            if earlier is not None:
                raise self.duplicate(key, str(document[self.name_member]))
            document[self.arn_member] = self.arn(key)
            stored = self._put(
                transaction, key, document, call.now, expect=0, owner=call.invoked_by, active=active
            )
            if also is not None:
                also(transaction, key)
        if active:
            wake(call.platform, key)
        return self.answer(call, stored)

    def _check_promises(self, call: Call) -> None:
        for member, remedy in self.not_yet.items():
            if call.parameters.get(member):
                text = f"Colonnade does not implement {member} of {call.operation} yet. {remedy}"
                raise ServiceError("NotImplementedException", text, status=501)

    def _numbered_before(self, reader: Reader, call: Call) -> Stored | None:
        """What an earlier request with the same idempotency token made, where numbers make every name a new one."""
        parent = next((call.parameters[member] for member in self.within if member in call.parameters), None)
        if not self.numbered or parent is None:
            return None
        scope = self.scope(call.account, call.region)
        siblings = each(reader, scope, Query(name_prefix=f"{_bare(parent)}/"))
        return next((row for row in siblings if _same_token(call, row)), None)

    def _enter(self, transaction: Transaction, call: Call, document: Document) -> None:
        """Into its parents: they must exist, are called by their names from now on, and number it."""
        for member, parent in self.within.items():
            if member not in document:
                continue
            found = parent.get(transaction, parent.key(call, document[member]))
            document[member] = found.document[parent.name_member]
            if self.numbered:
                document[self.numbered] = int(found.document.get("_Numbered", 0)) + 1
                counted = partial(_count, document[self.numbered])
                parent.change(transaction, found.key, counted, at=call.now)

    def _new_name(self, call: Call, document: Document) -> str:
        if self.generate is not None:
            generated = self.generate(call, document)
            if self.name_member != self.arn_member:
                document[self.name_member] = generated
            return "/".join(
                _bare(part) for part in [*(document[each] for each in self.named[:-1]), generated]
            )
        return "/".join(_bare(document[member]) for member in self.named if member in document)

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

    def remove(self, transaction: Transaction, key: Key, *, at: float) -> Stored:
        """Raises the missing error, and refuses while something holds it. Answers what it was."""
        stored = self.get(transaction, key)
        for holds in self._holds:
            reason = holds(transaction, stored)
            if reason:
                text = f'Cannot delete {self.words} "{self.arn(key)}": {reason}'
                raise ServiceError(self._in_use or self._declared("Delete"), text)
        transaction.delete(key)
        transaction.append(Event("history", str(key), at, {"removed": True}))
        return stored

    def holds(self, holds: Holds) -> Holds:
        """Mark a function that says why a resource of this type cannot be deleted."""
        self._holds.append(holds)
        return holds

    def _first_within(self, member: str, reader: Reader, held: Stored) -> str:
        """Keys begin with the parent's name where it names or numbers the child."""
        prefix = f"{held.key.name}/" if self.numbered or member in self.named[:-1] else ""
        scope = self.scope(held.key.account, held.key.region)
        for row in each(reader, scope, Query(name_prefix=prefix)):
            if _bare(row.document.get(member, "")) == held.key.name:
                return (
                    f"it still has the {self.words} {row.key.name.removeprefix(prefix)}. Delete that first."
                )
        return ""

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
                at_once=partial(function, self) if verb == "Describe" else None,
            )

    def describe(self, call: Call) -> Result:
        return self.answer(call, self.find(call.platform, self.key(call)))

    def answer(self, call: Call, stored: Stored) -> Result:
        """The members of a stored resource that the called operation's output declares, itself or below the noun:
        DescribeWorkforce answers `{"Workforce": {...}}`."""
        shape = models.operation(call.service, call.operation).output_shape
        if shape is None:
            return {}
        wrapped = shape.members.get(self.noun)
        if wrapped is not None and wrapped.type_name == "structure":
            return {self.noun: self.show(wrapped, stored)}
        return self.show(shape, stored)

    def show(self, shape: models.Shape, stored: Stored) -> dict[str, Any]:
        return visible(shape, stored, self.derived(stored.document))

    def list(self, call: Call, *, keep: Keep | None = None, kept: Sequence[str] = ()) -> Result:
        """`keep` sees to the filters named by `kept`; others compare with the member of their name."""
        for member, parent in self.within.items():
            if member in call.parameters:  # `DomainIdEquals` is a filter, `ImageName` says where.
                parent.find(call.platform, parent.key(call, call.parameters[member]))
        outer = [_given(call, member) for member in self.named[:-1]]
        prefix = "/".join(_bare(part) for part in outer) + "/" if outer and all(outer) else ""
        wanted = {
            member: value
            for member, value in call.parameters.items()
            if member not in UNDERSTOOD and member not in kept and value is not None
        }
        tests: Sequence[Keep] = [
            *([keep] if keep else []),
            *([partial(self._matches, wanted)] if wanted else []),
        ]
        return list_page(
            call,
            self.scope(call.account, call.region),
            self.show,
            keep=(lambda row: all(test(row) for test in tests)) if tests else None,
            name_prefix=prefix,
            # `UserProfileNameContains`: every part of a name is a part of its key.
            name_part=next(
                (wanted[f"{member}Contains"] for member in self.named if f"{member}Contains" in wanted), ""
            ),
        )

    def _matches(self, wanted: Mapping[str, Any], stored: Stored) -> bool:
        known = {**stored.document, **self.derived(stored.document)}
        for filter_, value in wanted.items():
            if filter_.endswith("NameContains"):
                if value.lower() not in str(known.get(filter_.removesuffix("Contains"), "")).lower():
                    return False
            elif not self._is(
                known.get(filter_.removesuffix("Equals")), value, filter_.removesuffix("Equals")
            ):
                return False
        return True

    def _is(self, known: Any, value: Any, member: str) -> bool:
        """Names of parents are the same in any case, and as ARNs; other values only as they are."""
        return _bare(known) == _bare(value) if member in self.within else bool(known == value)

    def replace_members(self, call: Call) -> Result:
        self._check_promises(call)
        key = self.key(call)
        given = {member: value for member, value in call.parameters.items() if member not in self.named}
        with call.write() as transaction:
            stored = self.change(
                transaction,
                key,
                lambda document: members.update(document, given, self.merged),
                at=call.now,
            )
        return self.answer(call, stored)

    def delete(self, call: Call) -> Result:
        with call.write() as transaction:
            stored = self.remove(transaction, self.key(call), at=call.now)
        return self.answer(call, stored)


_by_noun: dict[tuple[str, str], Resource] = {}
_by_arn_kind: dict[tuple[str, str], Resource] = {}


def by_arn(text: str) -> tuple[Resource, Key] | None:
    """The resource type and key that an ARN names; None for a type that nobody registered. ValueError for a non-ARN."""
    arn = arns.Arn.parse(text)
    resource = _by_arn_kind.get((arn.service, arn.kind))
    if resource is None:
        return None
    return resource, resource.scope(arn.account, arn.region).key(arn.name.lower())


def registered() -> Sequence[Resource]:
    return list(_by_noun.values())


def plural(noun: str) -> str:
    if noun.endswith("y"):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith("s") else "s")


def _bare(value: Any) -> str:
    """A name as keys hold it, from a name or an ARN."""
    text = str(value).lower()
    return text.split(":", 5)[-1].partition("/")[2] if text.startswith("arn:") else text


def _given(call: Call, member: str) -> Any:
    return call.parameters.get(member) or call.parameters.get(f"{member}Equals")


def _same_token(call: Call, stored: Stored) -> bool:
    """Whether a call repeats the request that made this: the SDKs fill idempotency tokens in."""
    token = next((call.parameters[each] for each in _TOKENS if each in call.parameters), None)
    return token is not None and token in [stored.document.get(each) for each in _TOKENS]


def _count(number: int, document: Document) -> None:
    document["_Numbered"] = number


def _nothing(document: Document) -> Mapping[str, Any]:
    return {}


def _acted_on(call: Call) -> str:
    """The ARN that a call acts on, from its noun and parameters; "*" where it names none."""
    for verb in ("Create", "Describe", "Update", "Delete", "Stop", "Start", "Invoke"):
        noun = call.operation.removeprefix(verb)
        resource = _by_noun.get((call.service, noun)) if noun != call.operation else None
        if resource is not None:
            return _names(resource, call)
    arn = call.parameters.get("ResourceArn")
    return arn if isinstance(arn, str) else "*"


def _names(resource: Resource, call: Call) -> str:
    """Of a name that is yet to be made, or is left to choose: what is known of it, and "*"."""
    if all(member in call.parameters for member in resource.named):
        return resource.arn(resource.key(call))
    if isinstance(call.parameters.get(resource.arn_member), str):
        return str(call.parameters[resource.arn_member])
    outer = resource.within if resource.numbered else resource.named[:-1]
    known = [_bare(call.parameters[member]) for member in outer if member in call.parameters]
    return resource.arn(resource.scope(call.account, call.region).key("/".join([*known, "*"])))
