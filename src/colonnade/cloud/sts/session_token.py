"""GetSessionToken: a user's own rights, with keys that end."""

from __future__ import annotations

from colonnade.cloud.sts.sessions import give
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation

_DEFAULT = 12 * 3600
_ROOT_MOST = 3600


@operation("sts", "GetSessionToken", demand=lambda call: [])
def get_session_token(call: Call) -> Result:
    """Every user may ask for one, as at AWS; the session can do what its user can."""
    if call.principal.kind not in ("user", "root"):
        raise ServiceError("AccessDenied", "Cannot call GetSessionToken with session credentials", status=403)
    if "SerialNumber" in call.parameters or "TokenCode" in call.parameters:
        raise ServiceError(
            "ValidationError",
            "Colonnade keeps no MFA devices: leave SerialNumber and TokenCode out.",
            status=400,
        )
    seconds = int(call.parameters.get("DurationSeconds", _DEFAULT))
    if call.principal.kind == "root":
        seconds = min(seconds, _ROOT_MOST)
    return {"Credentials": give(call, call.principal, seconds)}
