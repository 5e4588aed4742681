"""Which REST operation a request means: by method and raw path, then by query keys and required headers.

The table of a signing name is built from its services' models at the first request. Paths are matched as the client wrote
them and each label is decoded once, after matching: `%2F` is part of a key, `//` and a trailing `/` are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import unquote

from colonnade.gateway import services
from colonnade.gateway.protocols import s3_corrections
from colonnade.kernel import models
from colonnade.kernel.models import OperationModel


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the operations behind a path, and what a request must carry to mean it."""

    service: str
    operation: str
    literal: tuple[tuple[str, str | None], ...]
    """Query keys of the route itself (`uploads`, `list-type=2`)."""
    required_query: tuple[str, ...]
    required_headers: tuple[bytes, ...]

    @property
    def weight(self) -> int:
        return 4 * len(self.literal) + len(self.required_query) + len(self.required_headers)


@dataclass(slots=True)
class _Path:
    pattern: re.Pattern[str]
    loose: re.Pattern[str] | None
    """The same with its last label taking all that is left: clients send ARNs unencoded in `/tags/{ResourceArn}`."""
    labels: tuple[str, ...]
    literals: int
    candidates: list[Candidate] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Match:
    service: str
    operation: str
    labels: Mapping[str, str]


def match(
    signing_name: str, method: str, path: str, query: Mapping[str, str], headers: Mapping[bytes, bytes]
) -> Match | None:
    """None when no operation has such a route. Raises ValueError when a label is not UTF-8."""
    key = (signing_name, method, path)
    if key in _recent:
        return _recent[key]
    paths = _table(signing_name).get(method)
    if paths is None:
        return None
    for loosely in (False, True):
        for known in paths:
            pattern = known.loose if loosely else known.pattern
            found = pattern.match(path) if pattern else None
            if found is None:
                continue
            chosen = _choose(known.candidates, query, headers)
            if chosen is None:
                continue
            values = found.groups()
            labels = {
                name: unquote(value, errors="strict") if "%" in value else value
                for name, value in zip(known.labels, values, strict=True)
            }
            meant = Match(chosen.service, chosen.operation, labels)
            if len(known.candidates) == 1 and len(path) <= _WORTH_KEEPING:
                _remember(key, meant)
            return meant
    return None


_WORTH_KEEPING = 1024
_recent: dict[tuple[str, str, str], Match] = {}
"""Paths that mean one operation whatever else the request holds: endpoints are invoked over and over."""


def _remember(key: tuple[str, str, str], match: Match) -> None:
    if len(_recent) >= 1024:
        _recent.clear()
    _recent[key] = match


def _choose(
    candidates: list[Candidate], query: Mapping[str, str], headers: Mapping[bytes, bytes]
) -> Candidate | None:
    """The most demanding one whose demands are all met; else the least demanding one whose route fits, which then fails
    validation and says what is missing."""
    fitting = None
    for candidate in candidates:
        if not all(
            name in query and (value is None or query[name] == value) for name, value in candidate.literal
        ):
            continue
        if all(name in query for name in candidate.required_query) and all(
            name in headers for name in candidate.required_headers
        ):
            return candidate
        fitting = candidate
    return fitting


@cache
def _table(signing_name: str) -> Mapping[str, list[_Path]]:
    known: dict[tuple[str, str], _Path] = {}
    for service in services.signed_as(signing_name):
        if services.rest_protocol(service) is not None:
            for model in _operations(service):
                _add(known, service, model)
    table: dict[str, list[_Path]] = {}
    for (method, _), path in known.items():
        path.candidates.sort(key=lambda candidate: -candidate.weight)
        table.setdefault(method, []).append(path)
    for paths in table.values():
        paths.sort(key=lambda path: (-path.literals, len(path.labels)))
    return table


def _operations(service: str) -> Iterable[OperationModel]:
    model = models.service(service)
    hidden = s3_corrections.SUPERSEDED if service == "s3" else frozenset()
    return (model.operation_model(name) for name in model.operation_names if name not in hidden)


def _add(known: dict[tuple[str, str], _Path], service: str, model: OperationModel) -> None:
    template, _, query = models.auth_path(service, model.name).partition("?")
    shape_of = re.sub(r"\{[^}]+?(\+?)\}", r"{\1}", template.rstrip("/") or "/")
    key = (model.http["method"], shape_of)
    if key not in known:
        known[key] = _compiled(template, greedy_tail=service != "s3")
    known[key].candidates.append(_candidate(service, model, query))


def _candidate(service: str, model: OperationModel, query: str) -> Candidate:
    literal = tuple(
        (name, value if equals else None)
        for name, equals, value in (part.partition("=") for part in query.split("&") if part)
    )
    wanted_query, wanted_headers = [], []
    if model.input_shape is not None:
        for name in model.input_shape.required_members:
            places = model.input_shape.members[name].serialization
            if places.get("location") == "querystring":
                wanted_query.append(places.get("name", name))
            elif places.get("location") == "header":
                wanted_headers.append(places.get("name", name).lower().encode())
    return Candidate(service, model.name, literal, tuple(wanted_query), tuple(wanted_headers))


_LABEL = re.compile(r"\{([^}]+?)(\+?)\}")


def _compiled(template: str, *, greedy_tail: bool) -> _Path:
    path = template.rstrip("/") or "/"
    labels = tuple(found.group(1) for found in _LABEL.finditer(path))
    literals = sum(1 for part in path.split("/") if part and "{" not in part)
    greedy = path.endswith("+}")
    pattern = _expression(path)
    tail = r"\Z" if greedy else r"/?\Z"
    loose = None
    if greedy_tail and path.endswith("}") and not greedy:
        loose = re.compile(_expression(path[:-1] + "+}") + r"\Z")
    return _Path(re.compile(pattern + tail), loose, labels, literals)


def _expression(path: str) -> str:
    parts = []
    end = 0
    for found in _LABEL.finditer(path):
        parts.append(re.escape(path[end : found.start()]))
        parts.append("(.+)" if found.group(2) else "([^/]+)")
        end = found.end()
    parts.append(re.escape(path[end:]))
    return "".join(parts)
