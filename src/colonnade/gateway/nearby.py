"""Who may use those of our own paths that nobody signs: programs on this machine, and no web page that runs on it.

A page in a browser can send requests to loopback (CSRF), and can read the answers too once its own name resolves there (DNS
rebinding). Browsers give both away: by `Origin` or `Sec-Fetch-Site`, and by the name in `Host`. What a proxy passes on
comes from anywhere.
"""

from __future__ import annotations

from functools import wraps
from ipaddress import ip_address

from colonnade.gateway.exchange import Response
from colonnade.gateway.own import OwnHandler, OwnRequest, json_response

_FOREIGN = (b"origin", b"referer", b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"via")


def nearby(handler: OwnHandler) -> OwnHandler:
    """Mark a handler as one for programs on this machine only; all others are refused with the reason."""

    @wraps(handler)
    async def guarded(request: OwnRequest) -> Response:
        refusal = _refusal(request)
        return json_response({"message": refusal}, 403) if refusal else await handler(request)

    return guarded


def _refusal(request: OwnRequest) -> str:
    if not _is_loopback(request.source):
        return f"{request.path} is for programs on the server's own machine, and {request.source} is another"
    host = request.headers.get(b"host", b"").decode("latin-1")
    if not _names_this_machine(host):
        return f"{request.path} answers to localhost, 127.0.0.1 and [::1] only: the Host header says {host!r}"
    for name in _FOREIGN:
        if name in request.headers:
            return f"{request.path} is not for browsers and proxies: leave the {name.decode()} header out"
    if request.headers.get(b"sec-fetch-site", b"none") != b"none":
        return f"{request.path} is not for web pages"
    return ""


def _names_this_machine(host: str) -> bool:
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    return name.lower() == "localhost" or _is_loopback(name.strip("[]"))


def _is_loopback(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
