"""Custom images for Studio by name, with counted versions that stand for container images elsewhere. Nothing is pulled or built.

Their versions, and the deletion of an image with them, are in `image_version`.
"""

from __future__ import annotations

from colonnade.kernel.operations import Call, Effect, Result, operation
from colonnade.kernel.resources import Refusal, Resource
from colonnade.kernel.store import Document

IMAGES = Resource(
    "sagemaker",
    "Image",
    born={"ImageStatus": "CREATED"},
    missing=Refusal("ResourceNotFound", 'No Image with the name "{name}" exists ("{arn}").'),
    status_member="ImageStatus",
    effect=Effect.STORED,
)
IMAGES.serve("Create", "Describe", "List")


@operation("sagemaker", "UpdateImage", effect=Effect.STORED)
def update_image(call: Call) -> Result:
    """DeleteProperties says which members shall be absent again."""
    gone = call.parameters.get("DeleteProperties", [])

    def edit(document: Document) -> None:
        document.update(
            {
                member: value
                for member, value in call.parameters.items()
                if member in ("Description", "DisplayName", "RoleArn")
            }
        )
        for member in gone:
            document.pop(member, None)

    with call.write() as transaction:
        stored = IMAGES.change(transaction, IMAGES.key(call), edit, at=call.now)
    return IMAGES.answer(call, stored)
