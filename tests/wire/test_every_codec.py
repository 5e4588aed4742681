"""Every operation's codec against the other half that botocore holds.

Input: a random value, written by botocore's serialiser, must be routed to its operation and parsed back by ours. Output and
errors: written by ours, they must be parsed back by botocore's. A failure names service, operation and the seed.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Coroutine, Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore import parsers, serialize
from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.compat import HTTPHeaders
from botocore.loaders import Loader
from botocore.model import ServiceModel

from colonnade.gateway import plans, services
from colonnade.gateway.errors import answer
from colonnade.gateway.exchange import Exchange, Response
from colonnade.gateway.handlers.identify import identify
from colonnade.gateway.handlers.receive import receive
from colonnade.gateway.protocols import s3_corrections
from colonnade.kernel.errors import ServiceError

from .values import TRICKY, Values, for_botocore, from_botocore, without_empty_structures

NAMED = [
    "application-autoscaling",
    "athena",
    "bedrock-runtime",
    "budgets",
    "ce",
    "cloudtrail",
    "cloudwatch",
    "comprehend",
    "ecr",
    "events",
    "glue",
    "greengrassv2",
    "iam",
    "kinesis",
    "kinesisanalyticsv2",
    "kms",
    "lambda",
    "lexv2-models",
    "lexv2-runtime",
    "logs",
    "macie2",
    "polly",
    "quicksight",
    "rekognition",
    "s3",
    "sagemaker",
    "sagemaker-a2i-runtime",
    "sagemaker-edge",
    "sagemaker-featurestore-runtime",
    "sagemaker-inference-router-runtime",
    "sagemaker-metrics",
    "sagemaker-runtime",
    "sagemakerjobruntime",
    "sagemakertrainingsessionruntime",
    "secretsmanager",
    "sns",
    "sqs",
    "stepfunctions",
    "sts",
    "transcribe",
    "translate",
    "wellarchitected",
]
SPOKEN = [
    (service, protocol)
    for service in NAMED
    for protocol in services.protocols(service)
    if protocol in services.SUPPORTED
]


def operations_of(service: str) -> Iterator[Any]:
    model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
    for name in model.operation_names:
        if not (service == "s3" and name in s3_corrections.SUPERSEDED):
            yield model.operation_model(name)


def event_streams(shape: Any) -> frozenset[str]:
    return frozenset(
        name for name, member in shape.members.items() if member.serialization.get("eventstream")
    )


@pytest.mark.parametrize("sparse", [False, True], ids=["full", "sparse"])
@pytest.mark.parametrize(("service", "protocol"), SPOKEN)
def test_every_input_arrives_as_it_was_meant(service: str, protocol: str, sparse: bool) -> None:
    wrong = []
    for model in operations_of(service):
        seed = f"{service}:{model.name}:{sparse}"
        shape = model.input_shape
        if shape is not None and event_streams(shape):
            continue
        # botocore writes carriage returns bare into XML, where they cannot survive.
        letters = [letter for letter in TRICKY if letter != "\r" or protocol != "rest-xml"]
        value = Values(seed, sparse=sparse, letters=letters).structure(shape) if shape is not None else {}
        if protocol == "query":
            value = without_empty_structures(value)
        found = arrived(model, protocol, for_botocore(shape, value) if shape is not None else {})
        expected = (service, model.name, as_parsed(shape, value))
        if found != expected:
            wrong.append(f"{seed}\n  sent  {expected}\n  found {found}")
    assert not wrong, f"{len(wrong)} of {service}:\n" + "\n".join(wrong[:5])


def arrived(model: Any, protocol: str, parameters: dict[str, Any]) -> tuple[str, str, Any]:
    """(service, operation, parameters) as the gateway sees what botocore sends."""
    exchange = exchange_for(model, sent(model, protocol, parameters))
    try:
        run(identify(exchange))
        plan = exchange.plan
        assert plan is not None
        run(receive(exchange))
        found = plan.parse(exchange)
    except ServiceError as error:
        return ("", "", str(error))
    for name, member in found.items():
        if hasattr(member, "read"):
            found[name] = member.read()
    return (plan.service, plan.operation, found)


def sent(model: Any, protocol: str, parameters: dict[str, Any]) -> Any:
    request = serialize.create_serializer(protocol, include_validation=False).serialize_to_request(
        parameters, model
    )
    if request.get("auth_path"):
        query = urlsplit(model.http["requestUri"]).query
        request["url_path"] = request["auth_path"] + (
            f"?{query}" if query and "?" not in request["auth_path"] else ""
        )
    request.pop("host_prefix", None)
    prepare_request_dict(request, "http://127.0.0.1:4566")
    return create_request_object(request).prepare()


_EVERYBODY_IS_KNOWN = SimpleNamespace(the=lambda kind: SimpleNamespace(credential=lambda key: object()))


def exchange_for(model: Any, request: Any) -> Exchange:
    url = urlsplit(request.url)
    body = request.body or b""
    body = body.read() if hasattr(body, "read") else body.encode() if isinstance(body, str) else bytes(body)
    signing_name = model.service_model.signing_name
    headers = {
        name.lower().encode(): value if isinstance(value, bytes) else str(value).encode("utf-8")
        for name, value in request.headers.items()
    }
    credential = f"Credential=AKIA/20261122/eu-west-1/{signing_name}/aws4_request"
    headers |= {
        b"authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=00".encode(),
        b"x-amz-date": b"20261122T000000Z",
        b"content-length": str(len(body)).encode(),
    }

    async def receive_body() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Exchange(
        platform=_EVERYBODY_IS_KNOWN,  # type: ignore[arg-type]
        pool=None,  # type: ignore[arg-type]
        receive=receive_body,
        request_id="request-id",
        method=request.method,
        raw_path=url.path,
        path=url.path,
        query=url.query,
        headers=headers,
        source="",
        default_region="us-east-1",
    )


_LOOP = asyncio.new_event_loop()


def run(step: Any) -> None:
    if isinstance(step, Coroutine):
        _LOOP.run_until_complete(step)


def normal(shape: Any, value: dict[str, Any]) -> dict[str, Any]:
    """What survives the wire: header names are lower-case, host labels travel in the host name."""
    found = {}
    for name, item in value.items():
        places = shape.members[name].serialization
        if places.get("location") == "headers":
            item = {key.lower(): text for key, text in item.items()}
        found[name] = item
    return found


def as_parsed(shape: Any, value: dict[str, Any]) -> dict[str, Any]:
    """A streaming body is always there, if only to be empty; an empty structure as payload is as good as none."""
    if shape is None:
        return {}
    found = normal(shape, value)
    payload = shape.serialization.get("payload")
    if payload and shape.members[payload].serialization.get("streaming"):
        found.setdefault(payload, b"")
        if "ContentLength" in shape.members:
            found["ContentLength"] = len(found[payload])
    elif payload and found.get(payload) == {} and payload not in shape.required_members:
        del found[payload]
    return found


@pytest.mark.parametrize("sparse", [False, True], ids=["full", "sparse"])
@pytest.mark.parametrize(("service", "protocol"), SPOKEN)
def test_every_output_is_understood(service: str, protocol: str, sparse: bool) -> None:
    wrong = []
    for model in operations_of(service):
        seed = f"{service}:{model.name}:{sparse}"
        shape = model.output_shape
        if shape is None or event_streams(shape) or model.name in s3_corrections.LONE_ELEMENTS:
            continue
        value = Values(seed, sparse=sparse).structure(shape)
        exchange = planned(model, protocol)
        response = exchange.plan.serialise(exchange, value)  # type: ignore[union-attr]
        parsed = parsers.create_parser(protocol).parse(as_botocore_sees(response, shape), shape)
        found = understood(shape, parsed)
        if found != solid(normal(shape, value) | implied(shape, value, response)):
            wrong.append(f"{seed}\n  sent  {value}\n  found {found}\n  as    {response.body!r}"[:3000])
    assert not wrong, f"{len(wrong)} of {service}:\n" + "\n".join(wrong[:5])


def planned(model: Any, protocol: str) -> Exchange:
    """An exchange of which only the answer matters."""
    request = SimpleNamespace(url="http://127.0.0.1/x", body=b"", headers={}, method="GET")
    exchange = exchange_for(model, request)
    exchange.plan = plans.plan(model.service_model.service_name, model.name, protocol)
    return exchange


def as_botocore_sees(response: Response, shape: Any = None) -> dict[str, Any]:
    headers = HTTPHeaders.from_pairs(
        [(name.decode(), value.decode("latin-1")) for name, value in response.headers]
    )
    payload = shape.serialization.get("payload") if shape is not None else None
    raw = payload and shape.members[payload].type_name == "blob"
    body = io.BytesIO(bytes_of(response)) if raw else response.body
    return {"status_code": response.status, "headers": headers, "body": body}


def bytes_of(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


def understood(shape: Any, parsed: dict[str, Any]) -> dict[str, Any]:
    parsed.pop("ResponseMetadata", None)
    found: dict[str, Any] = from_botocore(shape, parsed)
    for name, item in found.items():
        if hasattr(item, "read"):
            found[name] = item.read()
    return solid(found)


def solid(value: dict[str, Any]) -> dict[str, Any]:
    """botocore makes something of an empty body and of metadata that are not there."""
    return {name: item for name, item in value.items() if item not in (b"", {})}


def implied(shape: Any, value: dict[str, Any], response: Response) -> dict[str, Any]:
    """Members that an answer has anyhow: its status and its content type."""
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        if name in value:
            continue
        if member.serialization.get("location") == "statusCode":
            found[name] = response.status
        elif member.serialization.get("name", "").lower() == "content-type":
            text = dict(response.headers).get(b"content-type")
            found |= {} if text is None else {name: text.decode()}
    return found


@pytest.mark.parametrize(("service", "protocol"), SPOKEN)
def test_every_error_is_understood(service: str, protocol: str) -> None:
    wrong = []
    for model in operations_of(service):
        for shape in model.error_shapes:
            seed = f"{service}:{model.name}:{shape.name}"
            problem = error_problem(model, protocol, shape, Values(seed, sparse=True))
            if problem:
                wrong.append(f"{seed}\n  {problem}")
    assert not wrong, f"{len(wrong)} of {service}:\n" + "\n".join(wrong[:5])


def error_problem(model: Any, protocol: str, shape: Any, values: Values) -> str:
    members = values.structure(shape) if protocol != "query" else {}
    members = {name: item for name, item in members.items() if name.lower() != "message"}
    code = shape.metadata.get("error", {}).get("code", shape.name)
    exchange = planned(model, protocol)
    exchange.method = "POST"
    response = answer(exchange, ServiceError(code, "no: <that> & 'this'", members=members))
    parser = parsers.create_parser(protocol)
    generic = parser.parse(as_botocore_sees(response), model.output_shape)
    wanted = {"query": code, "rest-xml": code}.get(protocol, shape.name)
    if (generic["Error"]["Code"], generic["Error"]["Message"]) != (wanted, "no: <that> & 'this'"):
        return f"generic {generic}"
    modelled = from_botocore(shape, parser.parse(as_botocore_sees(response), shape)) if members else {}
    missing = {name: item for name, item in members.items() if modelled.get(name) != item}
    return f"members {missing} of {response}" if missing else ""
