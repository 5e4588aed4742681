"""KMS: keys that never leave, what is encrypted, signed and authenticated with them, and who may do that.

Other services reach it through `kernel.ports.Keys` (`service_keys.py`), as the principal who called them. Key material lies in the
store, encrypted under the master key (`material.py`); a ciphertext names its key and is bound to its encryption context
(`ciphertext.py`). docs/decisions/encryption.md says how it all fits.
"""
