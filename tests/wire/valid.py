"""Random requests that the service would accept: values that meet the model's patterns, lengths, ranges and enums."""

from __future__ import annotations

from typing import Any

from colonnade.kernel.validation import scalar
from wire.values import PLAIN, Values

ACCOUNT = "123456789012"
_SHAPED = [
    "name-{word}",
    "{word}",
    "arn:aws:iam::123456789012:role/role-{word}",
    "arn:aws:sagemaker:us-east-1:123456789012:studio-lifecycle-config/config-{word}",
    "arn:aws:sagemaker:us-east-1:123456789012:image/image-{word}",
    "arn:aws:sagemaker:us-east-1:123456789012:image-version/image-{word}/1",
    "arn:aws:sagemaker:us-east-1:123456789012:workteam/private-crowd/team-{word}",
    "arn:aws:sagemaker:us-east-1:123456789012:human-task-ui/ui-{word}",
    "arn:aws:sagemaker:us-east-1:123456789012:model-package/package-{word}",
    "arn:aws:sagemaker:us-east-1:123456789012:hub-content/hub/Model/content-{word}",
    "arn:aws:sagemaker:us-east-1:123456789012:artifact/artifact-{word}",
    "arn:aws:sagemaker:us-east-1:123456789012:cluster/{word}abcd",
    "arn:aws:sagemaker:us-east-1:123456789012:mlflow-app/app-{word}",
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:secret-{word}",
    "arn:aws:sns:us-east-1:123456789012:topic-{word}",
    "arn:aws:kms:us-east-1:123456789012:key/key-{word}",
    "arn:aws:s3:us-east-1:123456789012:accesspoint/{word}",
    "arn:aws:lambda:us-east-1:123456789012:function:function-{word}",
    "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-0123456789abcdef0",
    "arn:aws:license-manager:us-east-1:123456789012:license-configuration:lic-{word}",
    "s3://bucket-{word}/some/key",
    "https://example.com/{word}",
    "https://example.com/{word}.git",
    "123456789012.dkr.ecr.us-east-1.amazonaws.com/image-{word}:latest",
    "sha256:" + "0123456789abcdef" * 4,
    "0123456789abcdef" * 4,
    "us-east-1_AbCdEfGhI",
    "us-east-1",
    "10.0.0.0/16",
    "d-abcdefghijkl",
    "fs-0123456789abcdef0",
    "/opt/ml/{word}",
    "/opt/ml/processing/{word}",
    "text/csv",
    "1.0.0",
    "1.0",
    "PT1H",
    "-PT1H",
    "7",
    "0.5",
    "ml.m5.large",
    "123456789012",
    "{word}@example.com",
]


class ImpossibleError(Exception):
    """No candidate meets a shape's constraints."""


class ValidValues(Values):
    def __init__(self, seed: str) -> None:
        super().__init__(seed, sparse=False, letters=PLAIN)

    def structure(self, shape: Any, depth: int = 0, skip: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Optional members that no candidate fits are left out."""
        names = [name for name in shape.members if name not in skip]
        union = bool(shape.metadata.get("union"))
        if union:
            names = [self.random.choice(names)]
        made: dict[str, Any] = {}
        for name in names:
            required = union or name in shape.required_members
            if not required and (depth > 4 or self.random.random() > (0.9 if depth < 2 else 0.5)):
                continue
            try:
                made[name] = self.of(shape.members[name], depth + 1)
            except ImpossibleError:
                if required:
                    raise
        return made

    _structure = structure

    def _list(self, shape: Any, depth: int) -> list[Any]:
        low, high = shape.metadata.get("min") or 1, shape.metadata.get("max") or 2
        items: list[Any] = []
        for _ in range(min(max(low, 2), high)):
            item = self.of(shape.member, depth + 1)
            if item not in items or len(items) < low:
                items.append(item)
        return items

    def _map(self, shape: Any, depth: int) -> dict[str, Any]:
        return {self._string(shape.key, depth): self.of(shape.value, depth + 1)}

    def _string(self, shape: Any, depth: int) -> str:
        if getattr(shape, "enum", None):
            return str(self.random.choice(shape.enum))
        word = "".join(self.random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(8))
        fails = scalar(shape)
        for candidate in _SHAPED:
            text = candidate.format(word=word)
            if fails is None or not fails(text):
                return text
        raise ImpossibleError(f"{shape.name}: {shape.metadata}")

    def _blob(self, shape: Any, depth: int) -> bytes:
        return self.random.randbytes(8)

    def _integer(self, shape: Any, depth: int) -> int:
        low = int(shape.metadata.get("min") or 0)
        high = min(int(shape.metadata.get("max") or low + 100), low + 100)
        return self.random.randint(low, high)

    _long = _integer

    def _double(self, shape: Any, depth: int) -> float:
        return float(self._integer(shape, depth))

    _float = _double
