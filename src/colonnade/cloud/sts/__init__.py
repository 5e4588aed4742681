"""AWS Security Token Service: who am I, and credentials that end.

Sessions are documents of their own that `Principals` finds by access key id. Roles and managed policies are asked of IAM's
operations, like any client asks.
"""
