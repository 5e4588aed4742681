"""Amazon Resource Names: `arn:<partition>:<service>:<region>:<account>:<resource>`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arn:
    partition: str
    service: str
    region: str
    account: str
    resource: str
    """All after the fifth colon: `endpoint/my-endpoint`, `user/ann`, `my-bucket/key`."""

    @classmethod
    def parse(cls, text: str) -> Arn:
        """Raises ValueError, naming the text, when it is not an ARN."""
        parts = text.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn" or not parts[5]:
            raise ValueError(f"not an ARN: {text!r} (want arn:partition:service:region:account:resource)")
        return cls(*parts[1:])

    @property
    def kind(self) -> str:
        """`endpoint` of `endpoint/my-endpoint`; empty where the resource has no kind (S3)."""
        kind, slash, _ = self.resource.partition("/")
        return kind if slash else ""

    @property
    def name(self) -> str:
        """What follows the kind, or the whole resource where there is none."""
        kind, slash, name = self.resource.partition("/")
        return name if slash else kind

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


def partition_of(region: str) -> str:
    """The partition that a region belongs to, by its name's beginning."""
    if region.startswith("cn-"):
        return "aws-cn"
    if region.startswith("us-gov-"):
        return "aws-us-gov"
    return "aws"
