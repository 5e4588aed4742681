"""The steps of the chain, one per file. `chain.py` says in which order and why."""
