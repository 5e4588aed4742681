"""InvokeEndpoint: the hot path. Awaited on the worker's event loop; the router does the work."""

from __future__ import annotations

from typing import Any, cast

from colonnade.kernel import arns
from colonnade.kernel.operations import Call, Handler, Result, finds_resources, operation
from colonnade.kernel.store import Key
from colonnade.serving import faults
from colonnade.serving.router import Invocation, Router

_NOT_OFFERED = {
    "TargetModel": "the endpoint does not host several models.",
    "TargetContainerHostname": "the endpoint does not host several containers.",
    "InferenceComponentName": "inference components are not implemented yet.",
    "EnableExplanations": "explanations are not implemented yet.",
    "SessionId": "stateful sessions are not implemented yet.",
}


@finds_resources("sagemaker-runtime")
def endpoint_arn(call: Call) -> str:
    name = call.parameters["EndpointName"].lower()
    return f"arn:{arns.partition_of(call.region)}:sagemaker:{call.region}:{call.account}:endpoint/{name}"


async def _invoke_endpoint(call: Call) -> Result:
    parameters = call.parameters
    for member, why in _NOT_OFFERED.items():
        if member in parameters:
            raise faults.not_offered(member, why)
    name = parameters["EndpointName"]
    key = Key(
        arns.partition_of(call.region),
        call.account,
        call.region,
        "sagemaker",
        "Endpoint",
        name.lower(),
    )
    given = parameters.get
    answer = await call.platform.the(Router).invoke(
        key,
        Invocation(
            given("Body", b""),
            given("ContentType", ""),
            given("Accept", ""),
            given("CustomAttributes", ""),
            given("TargetVariant", ""),
            given("InferenceId", ""),
        ),
        name=name,
    )
    result: dict[str, Any] = {"Body": answer.body, "InvokedProductionVariant": answer.variant}
    if answer.content_type:
        result["ContentType"] = answer.content_type
    if answer.custom_attributes:
        result["CustomAttributes"] = answer.custom_attributes
    return result


# The gateway awaits what a handler returns when it is a coroutine function; Handler is written for the others.
invoke_endpoint = operation("sagemaker-runtime", "InvokeEndpoint")(cast(Handler, _invoke_endpoint))
