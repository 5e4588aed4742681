"""InvokeEndpointWithResponseStream: an answer that is read while the model still makes it. Awaited on the worker's event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

from colonnade.kernel.operations import Call, Handler, Result, operation
from colonnade.kernel.store import Key
from colonnade.kernel.streams import Event
from colonnade.lifecycle.deploy.endpoint.invoke import component_key
from colonnade.serving import faults
from colonnade.serving.router import Invocation, Router
from colonnade.serving.streams import Streamed

_NOT_OFFERED = {
    "SessionId": "stateful sessions are not implemented yet.",
}


async def _invoke_endpoint_with_response_stream(call: Call) -> Result:
    parameters = call.parameters
    for member, why in _NOT_OFFERED.items():
        if member in parameters:
            raise faults.not_offered(member, why)
    name, given = parameters["EndpointName"], parameters.get
    router = call.platform.the(Router)
    key = Key(call.partition, call.account, call.region, "sagemaker", "Endpoint", name.lower())
    if "InferenceComponentName" in parameters:
        key = component_key(router, key, name, parameters["InferenceComponentName"])
    answer = await router.stream(
        key,
        Invocation(
            given("Body", b""),
            given("ContentType", ""),
            given("Accept", ""),
            given("CustomAttributes", ""),
            given("TargetVariant", ""),
            given("InferenceId", ""),
            given("TargetContainerHostname", ""),
        ),
        name=name,
    )
    result: dict[str, Any] = {
        "Body": _Events(answer.parts),
        "InvokedProductionVariant": answer.variant,
    }
    if answer.content_type:
        result["ContentType"] = answer.content_type
    if answer.custom_attributes:
        result["CustomAttributes"] = answer.custom_attributes
    return result


class _Events:
    """PayloadPart after PayloadPart. No generator, since that could not be closed before it was begun."""

    def __init__(self, parts: Streamed) -> None:
        self._parts = parts

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        return {"PayloadPart": {"Bytes": await anext(self._parts)}}

    async def aclose(self) -> None:
        await self._parts.aclose()


invoke_endpoint_with_response_stream = operation("sagemaker-runtime", "InvokeEndpointWithResponseStream")(
    cast(Handler, _invoke_endpoint_with_response_stream)
)
