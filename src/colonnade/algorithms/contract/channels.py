"""Input channels as data, and their validation against inputdataconfig.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from colonnade.algorithms.contract import UserError


@dataclass(frozen=True)
class Channel:
    name: str
    required: bool = False
    content_types: tuple[str, ...] = ()
    """Accepted ones, the first being meant when none is given; empty: any."""
    modes: tuple[str, ...] = ("File", "FastFile")
    distributions: tuple[str, ...] = ("FullyReplicated", "ShardedByS3Key")


ChannelConfig = Mapping[str, str]
"""A channel's entry in inputdataconfig.json: ContentType?, TrainingInputMode, S3DistributionType, RecordWrapperType."""


def validate(channels: tuple[Channel, ...], given: Mapping[str, ChannelConfig]) -> None:
    by_name = {channel.name: channel for channel in channels}
    for channel in channels:
        if channel.required and channel.name not in given:
            raise UserError(f"Missing required channel: {channel.name}")
    for name, config in given.items():
        if name not in by_name:
            raise UserError(f"Extraneous channel found: {name}")
        _validate(by_name[name], config)


def content_type(config: ChannelConfig, default: str) -> str:
    """Without parameters, in lower case: `text/csv;label_size=1` is `text/csv`."""
    return (config.get("ContentType") or default).partition(";")[0].strip().lower()


def label_size(config: ChannelConfig, default: int = 1) -> int:
    for parameter in (config.get("ContentType") or "").split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip() == "label_size" and value.strip().isdigit():
            return int(value)
    return default


def _validate(channel: Channel, config: ChannelConfig) -> None:
    kinds = channel.content_types
    supported = (
        (not kinds or content_type(config, kinds[0]) in kinds)
        and config.get("TrainingInputMode", "File") in channel.modes
        and config.get("S3DistributionType", "FullyReplicated") in channel.distributions
    )
    if not supported:
        raise UserError(
            f"Channel configuration for '{channel.name}' channel is not supported: {json.dumps(dict(config))}. "
            f"Supported content types: {', '.join(kinds) or 'any'}; modes: {', '.join(channel.modes)}; "
            f"distributions: {', '.join(channel.distributions)}."
        )
