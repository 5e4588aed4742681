"""AWS Identity and Access Management: users, access keys, groups, roles, their policies, and what these decide.

Entities (users, roles, groups) are documents of their own, each with its inline policies and the ARNs of its attached
ones, so that one read tells what somebody may do. `principals.py` is that reading, for the request chain. Whoever changes
an entity writes through `entities.changing`, which returns only when every process has dropped what it knew before.
"""
