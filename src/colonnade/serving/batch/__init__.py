"""One instance of a transform job: a process that works through its share of files with the model in processes beside it.

    file ─ payloads ─► lanes (filter, model, join, filter; MaxConcurrentTransforms of them) ─► output, in the file's order

`python -m colonnade.serving.batch` is the executor's command. It reads a `plan`, cuts files into `payloads`, hands them to
`lanes`, which answer as `answering` says, and leaves whole outputs only (`transform`). What goes wrong is written for users
(`failures`). No HTTP, and never more in memory than the payloads under way.
"""
