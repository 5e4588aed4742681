"""A replica: one process that holds one model and answers frames, inside a runtime environment, never in the server's own.

The executor starts it as `python -m colonnade.serving.replica`; the worker's side is `colonnade.serving.connection`.
"""
