"""InvokeEndpoint: the hot path. Awaited on the worker's event loop; the router does the work."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

from colonnade.kernel import arns
from colonnade.kernel.operations import Call, Handler, Result, finds_resources, operation
from colonnade.kernel.store import Key
from colonnade.serving import faults
from colonnade.serving.router import Invocation, Router

_NOT_OFFERED = {
    "EnableExplanations": "explanations are not implemented yet.",
    "SessionId": "stateful sessions are not implemented yet.",
}


@finds_resources("sagemaker-runtime")
def endpoint_arn(call: Call) -> str:
    name = call.parameters["EndpointName"].lower()
    return f"arn:{arns.partition_of(call.region)}:sagemaker:{call.region}:{call.account}:endpoint/{name}"


async def _invoke_endpoint(call: Call) -> Result:
    parameters = call.parameters
    if not _NOT_OFFERED.keys().isdisjoint(parameters):
        member = next(member for member in _NOT_OFFERED if member in parameters)
        raise faults.not_offered(member, _NOT_OFFERED[member])
    name = parameters["EndpointName"]
    given = parameters.get
    router = call.platform.the(Router)
    key = _key(call.account, call.region, name)
    if "InferenceComponentName" in parameters:
        key = component_key(router, key, name, parameters["InferenceComponentName"])
    answer = await router.invoke(
        key,
        Invocation(
            given("Body", b""),
            given("ContentType", ""),
            given("Accept", ""),
            given("CustomAttributes", ""),
            given("TargetVariant", ""),
            given("InferenceId", ""),
            given("TargetContainerHostname", ""),
            given("TargetModel", ""),
        ),
        name=name,
    )
    result: dict[str, Any] = {"Body": answer.body, "InvokedProductionVariant": answer.variant}
    if answer.content_type:
        result["ContentType"] = answer.content_type
    if answer.custom_attributes:
        result["CustomAttributes"] = answer.custom_attributes
    return result


def component_key(router: Router, endpoint: Key, name: str, component: str) -> Key:
    """The component's own route, if it is on this endpoint. Raises ValidationError."""
    route = router.route(endpoint)
    if route is None:
        raise faults.endpoint_not_found(endpoint.account, name)
    key = Key(
        endpoint.partition,
        endpoint.account,
        endpoint.region,
        endpoint.service,
        "InferenceComponent",
        component.lower(),
    )
    found = router.route(key)
    if found is None or found.place.endpoint != route.place.endpoint:
        raise faults.component_not_found(route.place, component)
    return key


@lru_cache(4096)
def _key(account: str, region: str, name: str) -> Key:
    return Key(arns.partition_of(region), account, region, "sagemaker", "Endpoint", name.lower())


def _invoke_at_once(call: Call) -> Result | None:
    """The same, taken to its end in one step where there is nothing to wait for."""
    given = call.parameters.get
    key = _key(call.account, call.region, call.parameters["EndpointName"])
    if given("TargetModel") or given("TargetContainerHostname") or given("InferenceComponentName"):
        return None
    if not call.platform.the(Router).answers_at_once(key, given("Body", b"")):
        return None
    steps = _invoke_endpoint(call)
    try:
        steps.send(None)
    except StopIteration as end:
        answered: Result = end.value
        return answered
    steps.close()
    return None


# The gateway awaits what a handler returns when it is a coroutine function; Handler is written for the others.
invoke_endpoint = operation("sagemaker-runtime", "InvokeEndpoint", at_once=_invoke_at_once)(
    cast(Handler, _invoke_endpoint)
)
