"""What IAM says of the account as a whole."""

from __future__ import annotations

from colonnade.cloud.iam.entities import GROUP, POLICY, ROLE, USER, scope
from colonnade.kernel.operations import Call, Result, operation


@operation("iam", "GetAccountSummary")
def get_account_summary(call: Call) -> Result:
    counted = {"Users": USER, "Groups": GROUP, "Roles": ROLE, "Policies": POLICY}
    with call.platform.store.read() as reader:
        counts = {name: reader.count(scope(call, kind)) for name, kind in counted.items()}
    quotas = {"AccessKeysPerUserQuota": 2, "VersionsPerPolicyQuota": 5, "PolicySizeQuota": 6144}
    return {"SummaryMap": {**counts, **quotas, "MFADevices": 0, "AccountMFAEnabled": 0}}


@operation("iam", "ListAccountAliases")
def list_account_aliases(call: Call) -> Result:
    """There is no way to make one here."""
    return {"AccountAliases": [], "IsTruncated": False}
