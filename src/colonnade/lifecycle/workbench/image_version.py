"""Versions of images: counted up, never reused, called by number or by alias; without either, the newest."""

from __future__ import annotations

from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.operations import Call, Effect, Result, operation
from colonnade.kernel.pages import decode_token, encode_token
from colonnade.kernel.resources import Refusal, Resource
from colonnade.kernel.store import Document, Key, Query, Reader, Stored, each
from colonnade.lifecycle.workbench.image import IMAGES

IMAGE_VERSIONS = Resource(
    "sagemaker",
    "ImageVersion",
    named=["ImageName", "Version"],
    within={"ImageName": IMAGES},
    numbered="Version",
    born={"ImageVersionStatus": "CREATED"},
    missing=Refusal("ResourceNotFound", 'ImageVersion "{arn}" does not exist.'),
    status_member="ImageVersionStatus",
    effect=Effect.STORED,
)
IMAGE_VERSIONS.serve("List")
_SETTABLE = frozenset(
    {"VendorGuidance", "JobType", "MLFramework", "ProgrammingLang", "Processor", "Horovod", "ReleaseNotes"}
)
_DEFAULT_PAGE = 10


@operation("sagemaker", "CreateImageVersion", effect=Effect.STORED)
def create_image_version(call: Call) -> Result:
    image = IMAGES.find(call.platform, IMAGES.key(call))
    aliases = call.parameters.get("Aliases", [])
    return IMAGE_VERSIONS.create(
        call,
        {"ImageArn": image.document["ImageArn"]},
        also=lambda transaction, key: _refuse_taken(call, transaction, aliases, but=key),
    )


@operation("sagemaker", "DescribeImageVersion", effect=Effect.STORED)
def describe_image_version(call: Call) -> Result:
    with call.platform.store.read() as reader:
        return IMAGE_VERSIONS.answer(call, _chosen(call, reader))


@operation("sagemaker", "UpdateImageVersion", effect=Effect.STORED)
def update_image_version(call: Call) -> Result:
    def edit(document: Document) -> None:
        document.update({member: call.parameters[member] for member in _SETTABLE & set(call.parameters)})
        gone = call.parameters.get("AliasesToDelete", [])
        kept = [alias for alias in document.get("Aliases", []) if alias not in gone]
        document["Aliases"] = list(dict.fromkeys([*kept, *call.parameters.get("AliasesToAdd", [])]))

    with call.write() as transaction:
        chosen = _chosen(call, transaction)
        _refuse_taken(call, transaction, call.parameters.get("AliasesToAdd", []), but=chosen.key)
        stored = IMAGE_VERSIONS.change(transaction, chosen.key, edit, at=call.now)
    return IMAGE_VERSIONS.answer(call, stored)


@operation("sagemaker", "DeleteImageVersion", effect=Effect.STORED)
def delete_image_version(call: Call) -> Result:
    if "Version" not in call.parameters and "Alias" not in call.parameters:
        raise validation("Give the Version or the Alias of the image version to delete.")
    with call.write() as transaction:
        IMAGE_VERSIONS.remove(transaction, _chosen(call, transaction).key, at=call.now)
    return {}


@operation("sagemaker", "DeleteImage", effect=Effect.STORED)
def delete_image(call: Call) -> Result:
    """With all of its versions, as AWS documents it."""
    with call.write() as transaction:
        for version in _all(call, transaction):
            IMAGE_VERSIONS.remove(transaction, version.key, at=call.now)
        IMAGES.remove(transaction, IMAGES.key(call), at=call.now)
    return {}


@operation("sagemaker", "ListAliases", effect=Effect.STORED)
def list_aliases(call: Call) -> Result:
    """Of one version when it is given, else of all, by name."""
    wanted = call.parameters
    with call.platform.store.read() as reader:
        IMAGES.get(reader, IMAGES.key(call))
        rows = [_chosen(call, reader)] if "Version" in wanted else _all(call, reader)
    aliases = sorted(alias for row in rows for alias in row.document.get("Aliases", []))
    if "Alias" in wanted:
        aliases = [alias for alias in aliases if alias == wanted["Alias"]]
    after = _after(wanted.get("NextToken"))
    aliases = [alias for alias in aliases if alias > after]
    limit = int(wanted.get("MaxResults", _DEFAULT_PAGE))
    answer: dict[str, object] = {"SageMakerImageVersionAliases": aliases[:limit]}
    if len(aliases) > limit:
        answer["NextToken"] = encode_token([aliases[limit - 1]])
    return answer


def _after(token: str | None) -> str:
    if token is None:
        return ""
    match decode_token(token):
        case [str(alias)]:
            return alias
    raise validation(
        f"Invalid pagination token: {token}. Use the NextToken of an answer to the same filters."
    )


def _all(call: Call, reader: Reader) -> list[Stored]:
    key = IMAGES.key(call)
    rows = each(reader, IMAGE_VERSIONS.scope(key.account, key.region), Query(name_prefix=f"{key.name}/"))
    return sorted(rows, key=lambda row: int(row.document["Version"]))


def _chosen(call: Call, reader: Reader) -> Stored:
    if "Version" in call.parameters:
        return IMAGE_VERSIONS.get(reader, IMAGE_VERSIONS.key(call))
    IMAGES.get(reader, IMAGES.key(call))
    rows = _all(call, reader)
    alias = call.parameters.get("Alias")
    if alias is not None:
        rows = [row for row in rows if alias in row.document.get("Aliases", [])]
    if not rows:
        what = f"the alias {alias}" if alias else "any version"
        raise ServiceError(
            "ResourceNotFound", f'No ImageVersion of the image "{call.parameters["ImageName"]}" has {what}.'
        )
    return rows[-1]


def _refuse_taken(call: Call, reader: Reader, aliases: list[str], *, but: Key) -> None:
    for row in _all(call, reader):
        taken = sorted(set(aliases) & set(row.document.get("Aliases", [])))
        if taken and row.key != but:
            raise ServiceError(
                "ResourceInUse",
                f"Version {row.document['Version']} has the alias {taken[0]} already: delete it there first.",
            )
