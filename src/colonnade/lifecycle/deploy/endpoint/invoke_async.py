"""InvokeEndpointAsync: a request is written down and answered at once; where its outcome will be is part of the answer."""

from __future__ import annotations

from typing import Any

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.reconcile import subject_of
from colonnade.kernel.store import Key
from colonnade.lifecycle.deploy.endpoint.states import ENDPOINTS
from colonnade.serving import faults
from colonnade.serving.artifacts import s3_place
from colonnade.serving.asynchronous import queue
from colonnade.serving.asynchronous.dispatcher import TOPIC
from colonnade.serving.asynchronous.terms import Terms
from colonnade.serving.router import Router

_LONGEST_BODY = 128_000
_TIMEOUT = 900
_TIME_TO_LIVE = 21_600


@operation("sagemaker-runtime", "InvokeEndpointAsync")
def invoke_endpoint_async(call: Call) -> Result:
    name = call.parameters["EndpointName"]
    endpoint = ENDPOINTS.scope(call.account, call.region).key(name.lower())
    terms = _terms(call, endpoint, name)
    _check_input(call)
    request = _request(call, endpoint, terms)
    with call.platform.store.write() as transaction:
        queue.add(
            transaction,
            endpoint,
            request,
            call.parameters.get("Body"),
            token=call.platform.ids.token(12).lower(),
        )
    call.platform.signals.notify(TOPIC, subject_of(endpoint))
    answer = {"InferenceId": request["id"], "OutputLocation": request["output"]}
    if request["failure"]:
        answer["FailureLocation"] = request["failure"]
    return answer


def _terms(call: Call, endpoint: Key, name: str) -> Terms:
    route = call.platform.the(Router).route(endpoint)
    if route is None:
        raise faults.endpoint_not_found(call.account, name)
    found = next((one.asynchronous for one in route.variants.values() if one.asynchronous), None)
    if found is None:
        raise faults.not_asynchronous(call.account, name)
    return found


def _check_input(call: Call) -> None:
    body, location = call.parameters.get("Body"), call.parameters.get("InputLocation", "")
    if bool(location) == (body is not None):
        raise _invalid("Give exactly one of InputLocation and Body.")
    if body is not None and len(body) > _LONGEST_BODY:
        raise _invalid(
            f"Body has {len(body)} bytes; at most {_LONGEST_BODY} can be given. Put it into S3 and give its InputLocation."
        )
    if location:
        try:
            s3_place(location)
        except ServiceError as error:
            raise _invalid(f"InputLocation {error.message}") from None


def _invalid(text: str) -> ServiceError:
    return ServiceError("ValidationError", text, status=400)


def _request(call: Call, endpoint: Key, terms: Terms) -> dict[str, Any]:
    given = call.parameters.get
    id = given("InferenceId") or call.platform.ids.uuid()
    extension = given("S3OutputPathExtension", "").strip("/")
    folder = f"{terms.output}/{extension}" if extension else terms.output
    return {
        "id": id,
        "endpoint": call.parameters["EndpointName"],
        "input": given("InputLocation", ""),
        "content_type": given("ContentType", ""),
        "accept": given("Accept", ""),
        "custom_attributes": given("CustomAttributes", ""),
        "output": f"{folder}/{given('Filename') or id + '.out'}",
        "failure": f"{terms.failure}/{id}-error.out" if terms.failure else "",
        "kms_key": terms.kms_key,
        "success_topic": terms.success_topic,
        "error_topic": terms.error_topic,
        "included_in": sorted(terms.included_in),
        "role": terms.role,
        "timeout": given("InvocationTimeoutSeconds", _TIMEOUT),
        "accepted": call.now,
        "expires": call.now + given("RequestTTLSeconds", _TIME_TO_LIVE),
    }
