"""Projects: a name that belongs together with what is tagged by it. Templates, which would build things, are refused."""

from __future__ import annotations

from colonnade.kernel.operations import Effect
from colonnade.kernel.resources import Refusal, Resource

_NO_TEMPLATES = "Leave it out: a project without a template is kept."

PROJECTS = Resource(
    "sagemaker",
    "Project",
    born=lambda call: {
        "ProjectId": f"p-{call.platform.ids.token(12).lower()}",
        "ProjectStatus": "CreateCompleted",
    },
    not_yet={
        "ServiceCatalogProvisioningDetails": _NO_TEMPLATES,
        "TemplateProviders": _NO_TEMPLATES,
        "ServiceCatalogProvisioningUpdateDetails": _NO_TEMPLATES,
        "TemplateProvidersToUpdate": _NO_TEMPLATES,
    },
    missing=Refusal("ValidationException", 'Project "{arn}" does not exist.'),
    duplicate=Refusal("ValidationException", 'Project "{arn}" already exists.'),
    status_member="ProjectStatus",
    effect=Effect.STORED,
)
PROJECTS.serve("Create", "Describe", "List", "Update", "Delete")
