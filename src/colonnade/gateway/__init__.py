"""AWS's wire protocols, served: bytes in, bytes out. `chain.py` is the way of a request; nothing below knows HTTP."""
