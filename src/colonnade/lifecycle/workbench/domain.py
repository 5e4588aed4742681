"""Studio domains: settings shared by the people and spaces in them. A record; the apps that would run in it are absent."""

from __future__ import annotations

from colonnade.kernel.operations import Effect
from colonnade.kernel.resources import Resource

DOMAINS = Resource(
    "sagemaker",
    "Domain",
    named=["DomainId"],
    generate=lambda call, _: f"d-{call.platform.ids.token(12).lower()}",
    born={"Status": "InService"},
    merged=["DefaultUserSettings", "DefaultSpaceSettings", "DomainSettings"],
    status_member="Status",
    effect=Effect.STORED,
)
DOMAINS.serve("Create", "Describe", "List", "Update", "Delete")
