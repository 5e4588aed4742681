"""IAM's JSON policies: parse them, check them, decide by them. Pure functions; nothing here knows users or stores.

`parse` turns text into a compiled `Policy`, once per text; `decide` says what a set of policies makes of an action on a
resource. Explicit deny wins over any allow, and nothing is allowed that no statement allows. Users, roles, trust policies,
bucket policies and key policies all come here, so there is one reading of the language.
"""

from colonnade.kernel.policy.decision import (
    Decision,
    Match,
    Outcome,
    decide,
    intersection,
    names_of,
    service_name,
    union,
)
from colonnade.kernel.policy.document import Kind, MalformedPolicyDocument, Policy, Statement, parse

__all__ = [
    "Decision",
    "Kind",
    "MalformedPolicyDocument",
    "Match",
    "Outcome",
    "Policy",
    "Statement",
    "decide",
    "intersection",
    "names_of",
    "parse",
    "service_name",
    "union",
]
