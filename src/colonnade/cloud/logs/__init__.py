"""Amazon CloudWatch Logs: groups, streams and events, kept as files that grow at their end.

The platform's own parts write through the port `LogStreams`; clients through the operations here. Both see the same files.
"""
