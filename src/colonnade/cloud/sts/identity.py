"""Who asks, and who a key belongs to."""

from __future__ import annotations

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.ports import Principals


@operation("sts", "GetCallerIdentity", demand=lambda call: [])
def get_caller_identity(call: Call) -> Result:
    """Whoever has valid credentials may ask; no policy can forbid it."""
    who = call.principal
    return {"UserId": who.user_id, "Account": who.account, "Arn": who.arn}


@operation("sts", "GetAccessKeyInfo")
def get_access_key_info(call: Call) -> Result:
    key_id = call.parameters["AccessKeyId"]
    credential = call.platform.the(Principals).credential(key_id)
    if credential is None:
        raise ServiceError("ValidationError", f"The access key {key_id} is unknown or inactive.", status=400)
    return {"Account": credential.principal.account}
