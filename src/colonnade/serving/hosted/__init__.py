"""Multi-model endpoints as a worker sees them: which models a container has is known only by the calls that name them.

A call names its model (TargetModel). The first one writes a document of type `hosted-model` and wakes the leader, which fetches the
model as its role and compiles it where that can be; then the worker takes a compiled model into its own process (`shelf`), or has a
replica load it (`container`). Documents stay until their endpoint goes or changes: the model that a name stood for at its first call
is the one that it stands for, however often it is let go and loaded again.

    Endpoint's key + "<generation>-<container>" + TargetModel
        {"url", "definition", "role", "name", "shared": <what the container's replicas hold>}      as the worker wrote it
        {"prepared": {...}, "archive": <path>, "downloading_seconds"} or {"failure": {"code", "message"}}    what came of it
"""
