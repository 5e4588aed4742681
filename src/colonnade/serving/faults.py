"""What goes wrong with an invocation, in the codes and texts of the SageMaker runtime, which its clients read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from colonnade.kernel import arns
from colonnade.kernel.errors import ServiceError

_LONGEST_BODY = 64 * 1024
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container {container}. Review the latency metrics for each "
    "container in Amazon CloudWatch, resolve the issue, and try again."
)
ENDED_IN_STREAM = "The model's process ended before its answer did."
KILLED_TWICE = "The model's process ended while it worked on this request, twice."


@dataclass(frozen=True, slots=True)
class Place:
    """Whose endpoint it is: what the texts name."""

    account: str
    region: str
    endpoint: str
    """The endpoint's name as its creator wrote it."""
    component: str = ""
    """The inference component's, where it is one of the endpoint's."""

    @property
    def log_group(self) -> str:
        return log_group(self.endpoint, self.component)

    @property
    def log_arn(self) -> str:
        partition = arns.partition_of(self.region)
        return str(arns.Arn(partition, "logs", self.region, self.account, f"log-group:{self.log_group}"))


def log_group(endpoint: str, component: str = "") -> str:
    if component:
        return f"/aws/sagemaker/InferenceComponents/{component}"
    return f"/aws/sagemaker/Endpoints/{endpoint}"


def component_not_found(place: Place, component: str) -> ServiceError:
    return ServiceError(
        "ValidationError",
        f"Inference component {component} of endpoint {place.endpoint} not found.",
        status=400,
    )


def component_missing(place: Place) -> ServiceError:
    return ServiceError(
        "ValidationError",
        f"InferenceComponentName is missing: endpoint {place.endpoint} hosts inference components, and each call names one.",
        status=400,
    )


def no_copies() -> ServiceError:
    return ServiceError(
        "ValidationError",
        "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress (if "
        "configured) or try to increase the capacity by invoking UpdateInferenceComponentRuntimeConfig API.",
        status=400,
    )


def endpoint_not_found(account: str, name: str) -> ServiceError:
    return ServiceError("ValidationError", f"Endpoint {name} of account {account} not found.", status=400)


def variant_not_found(place: Place, variant: str) -> ServiceError:
    return ServiceError(
        "ValidationError", f"Variant {variant} of endpoint {place.endpoint} not found.", status=400
    )


def container_not_found(place: Place, hostname: str, known: Sequence[str]) -> ServiceError:
    given = f"{hostname} is none of its containers" if hostname else "it is missing"
    return ServiceError(
        "ValidationError",
        f"Endpoint {place.endpoint} takes TargetContainerHostname, and {given}: give one of {', '.join(known)}.",
        status=400,
    )


def not_offered(member: str, why: str) -> ServiceError:
    return ServiceError("ValidationError", f"{member} cannot be given: {why}", status=400)


def throttled(place: Place, limit: int) -> ServiceError:
    return ServiceError(
        "ThrottlingException",
        f"Rate exceeded: endpoint {place.endpoint} answers {limit} requests at a time (MaxConcurrency), and all are under way. "
        "Try again later.",
        status=400,
    )


def not_ready(place: Place, variant: str) -> ServiceError:
    return ServiceError(
        "ModelNotReadyException",
        f"The model of variant {variant} of endpoint {place.endpoint} is not ready for inference yet. Wait and try again.",
        status=429,
    )


def too_large(place: Place, what: str, size: int, most: int) -> ServiceError:
    return ServiceError(
        "ValidationError",
        f"The {what} has {size} bytes, and serverless endpoints like {place.endpoint} take at most {most}.",
        status=400,
    )


def asynchronous_only(place: Place) -> ServiceError:
    return ServiceError(
        "ValidationError",
        f"Endpoint {place.endpoint} of account {place.account} is an asynchronous inference endpoint and cannot be invoked in "
        "real time. Use InvokeEndpointAsync.",
        status=400,
    )


def target_missing(place: Place) -> ServiceError:
    return ServiceError(
        "ValidationError",
        f"TargetModel is missing: endpoint {place.endpoint} hosts many models, and each call names one of them.",
        status=400,
    )


def not_asynchronous(account: str, name: str) -> ServiceError:
    return ServiceError(
        "ValidationError",
        f"Endpoint {name} of account {account} is not an asynchronous inference endpoint. Use InvokeEndpoint, or give its "
        "configuration an AsyncInferenceConfig.",
        status=400,
    )


def model_not_ready(target: str) -> ServiceError:
    return ServiceError(
        "ModelNotReadyException",
        f"The model {target} is still being downloaded or loaded. Wait and try again.",
        status=429,
    )


def unavailable(place: Place, variant: str) -> ServiceError:
    return ServiceError(
        "ServiceUnavailable",
        f"No instance of variant {variant} of endpoint {place.endpoint} is in service. Try again later.",
        status=503,
    )


def overloaded(place: Place, variant: str, waiting: int) -> ServiceError:
    return ServiceError(
        "ServiceUnavailable",
        f"Variant {variant} of endpoint {place.endpoint} has {waiting} calls waiting, as many as it takes. Try again later, or "
        "give it more instances.",
        status=503,
    )


def model_error(place: Place, container: str, status: int, body: bytes) -> ServiceError:
    """What the container answered above 299, told to the caller."""
    kind = "client" if 400 <= status < 500 else "server"
    said = f'with message "{body.decode("utf-8", "replace")}".'
    if len(body) > _LONGEST_BODY:
        said, body = "and could not load the entire response body.", body[:_LONGEST_BODY]
    where = f"https://{place.region}.console.aws.amazon.com/cloudwatch/home?region={place.region}"
    text = (
        f"Received {kind} error ({status}) from {container} {said} See {where}"
        f"#logEventViewer:group={place.log_group} in account {place.account} for more information."
    )
    return _told(place, text, status, body.decode("utf-8", "replace"))


def timed_out(place: Place, container: str) -> ServiceError:
    said = TIMED_OUT.format(container=container)
    where = f"https://{place.region}.console.aws.amazon.com/cloudwatch/home?region={place.region}"
    text = (
        f'Received server error (0) from {container} with message "{said}". See {where}'
        f"#logEventViewer:group={place.log_group} in account {place.account} for more information."
    )
    return _told(place, text, 0, said)


def stream_timed_out(place: Place) -> ServiceError:
    return _stream_error(
        place, "ModelInvocationTimeExceeded", "The model did not answer in the time that it has for a stream."
    )


def stream_broken(place: Place, said: str) -> ServiceError:
    return _stream_error(
        place, "StreamBroken", f'The model ended its answer with message "{said[:_LONGEST_BODY]}".'
    )


def _stream_error(place: Place, code: str, said: str) -> ServiceError:
    """Within a stream whose first part has gone out."""
    text = f"{said} See {place.log_group} in account {place.account} for more information."
    return ServiceError("ModelStreamError", text, status=400, members={"ErrorCode": code})


def _told(place: Place, text: str, status: int, original: str) -> ServiceError:
    members = {"OriginalStatusCode": status, "OriginalMessage": original, "LogStreamArn": place.log_arn}
    return ServiceError("ModelError", text, status=424, members=members)
