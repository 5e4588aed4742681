"""Tags of SageMaker resources, by ARN. They live in the resource's own document and vanish with it (semantics 12.4)."""

from __future__ import annotations

from collections.abc import Sequence

from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.pages import decode_token, encode_token
from colonnade.kernel.resources import Resource, by_arn
from colonnade.kernel.store import Document, Key

_MOST = 50
_DEFAULT_PAGE = 50


@operation("sagemaker", "AddTags")
def add_tags(call: Call) -> Result:
    """Same keys are overwritten; the answer holds all tags of the resource."""
    resource, key = _tagged(call)
    check(call.parameters["Tags"])
    tags: list[dict[str, str]] = []

    def merge(document: Document) -> None:
        merged = {tag["Key"]: tag for tag in [*document.get("Tags", []), *call.parameters["Tags"]]}
        if len(merged) > _MOST:
            raise validation(
                f"{len(merged)} tags would exceed the {_MOST} that a resource may have: remove some first."
            )
        document["Tags"] = list(merged.values())
        tags.extend(document["Tags"])

    with call.write() as transaction:
        resource.change(transaction, key, merge, at=call.now)
    return {"Tags": tags}


@operation("sagemaker", "ListTags")
def list_tags(call: Call) -> Result:
    resource, key = _tagged(call)
    tags = resource.find(call.platform, key).document.get("Tags", [])
    begin = _begin(call)
    end = begin + int(call.parameters.get("MaxResults", _DEFAULT_PAGE))
    result: dict[str, object] = {"Tags": tags[begin:end]}
    if end < len(tags):
        result["NextToken"] = encode_token([call.parameters["ResourceArn"], end])
    return result


@operation("sagemaker", "DeleteTags")
def delete_tags(call: Call) -> Result:
    """Keys that are not there are ignored."""
    resource, key = _tagged(call)
    gone = set(call.parameters["TagKeys"])

    def drop(document: Document) -> None:
        document["Tags"] = [tag for tag in document.get("Tags", []) if tag["Key"] not in gone]

    with call.write() as transaction:
        resource.change(transaction, key, drop, at=call.now)
    return {}


def check(tags: Sequence[dict[str, str]]) -> None:
    """Raises ValidationException for keys that belong to AWS."""
    for tag in tags:
        if tag["Key"].lower().startswith("aws:"):
            raise validation(f"aws: prefixed tag key names are not allowed for external use: {tag['Key']}")


def _tagged(call: Call) -> tuple[Resource, Key]:
    arn = call.parameters["ResourceArn"]
    try:
        found = by_arn(arn)
    except ValueError as error:
        raise validation(f"Invalid ResourceArn: {error}.") from None
    if found is None or found[1].account != call.account:
        raise ServiceError("ResourceNotFound", f'Could not find resource "{arn}".')
    return found


def _begin(call: Call) -> int:
    token = call.parameters.get("NextToken")
    if token is None:
        return 0
    match decode_token(token):
        case [str(arn), int(begin)] if arn == call.parameters["ResourceArn"] and begin >= 0:
            return begin
    raise validation(
        f"Invalid pagination token: {token}. Use the NextToken of an answer for the same resource."
    )
