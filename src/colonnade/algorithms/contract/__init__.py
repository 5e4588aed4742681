"""What all built-in algorithms share: published data, its validation, and the run inside a job's process."""

from __future__ import annotations


class UserError(ValueError):
    """Something the user can mend. Its text becomes the job's FailureReason, as `ClientError: <text>`."""
