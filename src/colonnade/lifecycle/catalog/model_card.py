"""Model cards: what a model is for, how it was made and judged. New content is a new version; a new status is not.

The card's document is its newest version; every version has a document of its own beside it.
"""

from __future__ import annotations

from colonnade.kernel import json_text
from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.operations import Call, Effect, Result, operation
from colonnade.kernel.pages import list_page
from colonnade.kernel.resources import Resource
from colonnade.kernel.store import Document, Key, Query, Reader, Stored, Transaction, each

MODEL_CARDS = Resource(
    "sagemaker",
    "ModelCard",
    born={"ModelCardVersion": 1},
    status_member="ModelCardStatus",
    effect=Effect.STORED,
)
MODEL_CARDS.serve("List")
_VERSIONS = "ModelCardVersion"
_SECTIONS = frozenset(
    {
        "model_overview",
        "model_package_details",
        "intended_uses",
        "business_details",
        "training_details",
        "evaluation_details",
        "additional_information",
    }
)


@operation("sagemaker", "CreateModelCard", effect=Effect.STORED)
def create_model_card(call: Call) -> Result:
    _check(call.parameters["Content"])
    return MODEL_CARDS.create(call, also=lambda transaction, key: _keep_version(transaction, key, call.now))


@operation("sagemaker", "UpdateModelCard", effect=Effect.STORED)
def update_model_card(call: Call) -> Result:
    content, status = call.parameters.get("Content"), call.parameters.get("ModelCardStatus")
    if content is not None and status is not None:
        raise validation("Content and ModelCardStatus cannot be updated in one call: make two.")

    def edit(card: Document) -> None:
        if status is not None:
            card["ModelCardStatus"] = status
        if content is not None:
            _check(content)
            card["Content"] = content
            card["ModelCardVersion"] += 1

    key = MODEL_CARDS.key(call)
    with call.write() as transaction:
        stored = MODEL_CARDS.change(transaction, key, edit, at=call.now)
        _keep_version(transaction, key, call.now)
    return MODEL_CARDS.answer(call, stored)


@operation("sagemaker", "DescribeModelCard", effect=Effect.STORED)
def describe_model_card(call: Call) -> Result:
    key = MODEL_CARDS.key(call)
    with call.platform.store.read() as reader:
        card = MODEL_CARDS.get(reader, key)
        wanted = call.parameters.get("ModelCardVersion", card.document["ModelCardVersion"])
        version = reader.get(_version_key(key, wanted))
    if version is None:
        raise ServiceError(
            "ResourceNotFound", f'Could not find version {wanted} of model card "{MODEL_CARDS.arn(key)}".'
        )
    answer = dict(MODEL_CARDS.answer(call, version))
    if call.parameters.get("IncludedData") == "MetadataOnly":
        answer["Content"] = ""
    return answer


@operation("sagemaker", "ListModelCardVersions", effect=Effect.STORED)
def list_model_card_versions(call: Call) -> Result:
    key = MODEL_CARDS.key(call)
    MODEL_CARDS.find(call.platform, key)
    status = call.parameters.get("ModelCardStatus")

    def keep(version: Stored) -> bool:
        return status in (None, version.document["ModelCardStatus"])

    return list_page(
        call, _version_key(key, 0).scope, MODEL_CARDS.show, keep=keep, name_prefix=f"{key.name}/"
    )


@operation("sagemaker", "DeleteModelCard", effect=Effect.STORED)
def delete_model_card(call: Call) -> Result:
    key = MODEL_CARDS.key(call)
    with call.write() as transaction:
        MODEL_CARDS.remove(transaction, key, at=call.now)
        for version in _versions(transaction, key):
            transaction.delete(version.key)
    return {}


def _check(content: str) -> None:
    """A JSON object of the sections that a card has; what is in them is taken as it comes."""
    try:
        card = json_text.read(content)
    except ValueError as error:
        raise validation(f"Content is not JSON: {error}.") from None
    if not isinstance(card, dict):
        raise validation("Content must be a JSON object.")
    unknown = sorted(set(card) - _SECTIONS)
    if unknown:
        raise validation(
            f"Content has the unknown section {unknown[0]}: a model card has {', '.join(sorted(_SECTIONS))}."
        )


def _keep_version(transaction: Transaction, key: Key, at: float) -> None:
    card = MODEL_CARDS.get(transaction, key)
    version = _version_key(key, card.document["ModelCardVersion"])
    transaction.put(version, card.document, at=at)


def _versions(reader: Reader, key: Key) -> list[Stored]:
    return list(each(reader, _version_key(key, 0).scope, Query(name_prefix=f"{key.name}/")))


def _version_key(key: Key, version: int) -> Key:
    return Key(key.partition, key.account, key.region, key.service, _VERSIONS, f"{key.name}/{version:09}")
