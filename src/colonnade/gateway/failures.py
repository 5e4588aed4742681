"""One line in the log for each request that was refused or failed, with the id that its answer carries.

A client's error report and the server's log meet in that id. What clients write into names and messages cannot break a
line, nor pass for another one.
"""

from __future__ import annotations

import logging

from colonnade.gateway.exchange import Exchange, Response
from colonnade.kernel.errors import ServiceError

log = logging.getLogger(__name__)


def tell(exchange: Exchange, error: Exception, response: Response, seconds: float) -> None:
    level = logging.WARNING if response.status >= 500 else logging.INFO
    if not log.isEnabledFor(level):
        return
    plan = exchange.plan
    code, message = (
        (error.code, error.message) if isinstance(error, ServiceError) else ("InternalFailure", "")
    )
    fields = {
        "request_id": exchange.request_id,
        "service": plan.service if plan else "",
        "operation": plan.operation if plan else "",
        "status": response.status,
        "code": code,
        "error": message,
        "principal": exchange.credential.principal.arn if exchange.credential else "",
        "source": exchange.source,
        "method": exchange.method,
        "path": exchange.raw_path,
        "milliseconds": round(seconds * 1000, 1),
    }
    what = f"{plan.service}:{plan.operation}" if plan else f"{exchange.method} {exchange.raw_path}"
    log.log(
        level,
        "request %s %s of %s from %s: %d %s %s (%.1f ms)",
        exchange.request_id,
        _one_line(what),
        fields["principal"] or "nobody known",
        exchange.source,
        response.status,
        code,
        _one_line(message),
        seconds * 1000,
        extra={"fields": fields},
    )


def _one_line(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
