"""Contract suites and fakes, shipped: whoever writes another store, executor or object store runs these over it.

Needs the test tools (pytest, hypothesis); nothing that serves imports this.
"""
