"""Which operation of which service is asked for, and in which protocol? From names the client sends, verified later.

The credential scope names the signing name, which nine services may share; X-Amz-Target, the path or Action tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from urllib.parse import parse_qsl

from colonnade.gateway import plans, post_form, routes, services, sigv4
from colonnade.gateway.exchange import Exchange
from colonnade.gateway.handlers.receive import receive_whole
from colonnade.gateway.refusals import Refusal, refusal
from colonnade.kernel.ports import Principals

_FORM = b"application/x-www-form-urlencoded"
_LONGEST_NAME = 256
"""No operation of AWS has half as long a name; what is longer is not looked up, for lookups are kept."""
_MOST_PAIRS = 20_000


def identify(exchange: Exchange) -> Awaitable[None] | None:
    exchange.signature = claimed_signature(exchange)
    if b"smithy-protocol" in exchange.headers:
        _by_smithy_path(exchange)
        return None
    target = exchange.headers.get(b"x-amz-target")
    if target is not None:
        _by_target(exchange, target)
        return None
    if post_form.is_one(exchange):
        return post_form.identify(exchange)
    if _may_be_query(exchange):
        return _by_action(exchange)
    _by_route(exchange)
    return None


def claimed_signature(exchange: Exchange) -> sigv4.Signature | None:
    headers = exchange.headers
    authorization = headers.get(b"authorization")
    try:
        if authorization is not None:
            timestamp = headers.get(b"x-amz-date") or headers.get(b"date") or b""
            return sigv4.read_header(
                authorization.decode("latin-1"),
                timestamp.decode("latin-1"),
                exchange.header(b"x-amz-security-token"),
            )
        return sigv4.read_query(dict(_pairs(exchange, exchange.query))) if exchange.query else None
    except sigv4.Malformed as malformed:
        raise refusal(exchange, Refusal.INCOMPLETE, f": {malformed}") from None


def _signing_name(exchange: Exchange) -> str:
    return exchange.signature.service if exchange.signature else ""


def _by_target(exchange: Exchange, target: bytes) -> None:
    if exchange.signature is None:
        raise refusal(exchange, Refusal.MISSING_TOKEN)
    _require_service(exchange)
    if len(target) <= _LONGEST_NAME:
        exchange.plan = plans.by_target(exchange.signature.service, target)
    if exchange.plan is None:
        named = target[:_LONGEST_NAME].decode("latin-1")
        raise refusal(exchange, Refusal.UNKNOWN_OPERATION, f": {named}")


_SMITHY_PATH = re.compile(rf".*/service/([^/]{{1,{_LONGEST_NAME}}})/operation/([^/]{{1,{_LONGEST_NAME}}})\Z")


def _by_smithy_path(exchange: Exchange) -> None:
    """The smithy RPC protocols put service and operation into the path; the header says which of them it is."""
    if exchange.signature is None:
        raise refusal(exchange, Refusal.MISSING_TOKEN)
    _require_service(exchange)
    found = _SMITHY_PATH.match(exchange.raw_path)
    said = exchange.header(b"smithy-protocol")
    if said == "rpc-v2-cbor" and exchange.method == "POST" and found is not None:
        exchange.plan = plans.by_smithy_path(exchange.signature.service, found.group(1), found.group(2))
    if exchange.plan is None:
        detail = f": {exchange.method} {exchange.raw_path} in the protocol {said} (rpc-v2-cbor is understood)"
        raise refusal(exchange, Refusal.UNKNOWN_OPERATION, detail)


def _may_be_query(exchange: Exchange) -> bool:
    form = exchange.headers.get(b"content-type", b"").startswith(_FORM)
    if not form and "Action=" not in exchange.query:
        return False
    if exchange.signature is None:
        return form or exchange.raw_path == "/"
    _require_service(exchange)
    return services.speaks_query(exchange.signature.service)


async def _by_action(exchange: Exchange) -> None:
    await receive_whole(exchange, plans.FORM_LIMIT)
    form = exchange.body.decode("utf-8", "replace")
    exchange.form = _pairs(exchange, exchange.query) + _pairs(exchange, form)
    action = next((value for name, value in exchange.form if name == "Action"), "")[:_LONGEST_NAME]
    # Only STS has operations that nobody can sign yet.
    signing_name = _signing_name(exchange) or "sts"
    plan = plans.by_action(signing_name, action)
    if exchange.signature is None and (plan is None or plan.signed):
        raise refusal(exchange, Refusal.MISSING_TOKEN)
    exchange.plan = plan
    if plan is None:
        raise refusal(
            exchange, Refusal.UNKNOWN_OPERATION, f" {action or '(no Action given)'} of {signing_name}"
        )


def _by_route(exchange: Exchange) -> None:
    if exchange.signature is None:
        raise refusal(exchange, Refusal.MISSING_TOKEN, ": the request is not signed")
    _require_service(exchange)
    query = dict(_pairs(exchange, exchange.query)) if exchange.query else {}
    try:
        found = routes.match(
            exchange.signature.service, exchange.method, exchange.path, query, exchange.headers
        )
    except UnicodeDecodeError:
        raise refusal(exchange, Refusal.BAD_PATH) from None
    protocol = services.rest_protocol(found.service) if found else None
    if found is None or protocol is None:
        raise refusal(exchange, Refusal.UNKNOWN_OPERATION, f": {exchange.method} {exchange.path}")
    exchange.labels = found.labels
    exchange.plan = plans.plan(found.service, found.operation, protocol)


_met: set[str] = set()
"""Signing names that somebody known has used. Strangers cannot fill the memory with the models of all the others."""


def _require_service(exchange: Exchange) -> None:
    name = _signing_name(exchange)
    if name in _met:
        return
    if not services.signed_as(name):
        raise refusal(exchange, Refusal.UNKNOWN_OPERATION, f": AWS has no service that is signed as '{name}'")
    assert exchange.signature is not None
    if exchange.platform.the(Principals).credential(exchange.signature.access_key_id) is None:
        raise refusal(exchange, Refusal.UNKNOWN_KEY)
    _met.add(name)


def _pairs(exchange: Exchange, text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_PAIRS) if text else []
    except ValueError:
        raise refusal(exchange, Refusal.TOO_LARGE, f": at most {_MOST_PAIRS} parameters") from None
