"""User profiles: a person in a domain, with settings that go before the domain's."""

from __future__ import annotations

from colonnade.kernel.operations import Effect
from colonnade.kernel.resources import Resource
from colonnade.lifecycle.workbench.domain import DOMAINS

USER_PROFILES = Resource(
    "sagemaker",
    "UserProfile",
    named=["DomainId", "UserProfileName"],
    within={"DomainId": DOMAINS},
    born={"Status": "InService"},
    merged=["UserSettings"],
    status_member="Status",
    effect=Effect.STORED,
)
USER_PROFILES.serve("Create", "Describe", "List", "Update", "Delete")
