"""Device fleets: which devices belong together, and where what they capture goes."""

from __future__ import annotations

from colonnade.kernel.operations import Effect
from colonnade.kernel.resources import Refusal, Resource

DEVICE_FLEETS = Resource(
    "sagemaker",
    "DeviceFleet",
    not_yet={"EnableIotRoleAlias": "Leave it out: there is no IoT service to make the alias in."},
    missing=Refusal("ValidationException", 'No devicefleet with name "{name}" exists ("{arn}").'),
    effect=Effect.STORED,
)
DEVICE_FLEETS.serve("Create", "Describe", "List", "Update", "Delete")
