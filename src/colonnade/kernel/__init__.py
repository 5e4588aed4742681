"""What every part stands on: operations, resources, reconcilers, the store. No HTTP, no machine learning.

`operations` says what an operation is, `resources` derives the ordinary ones from the service model, `store` keeps
documents, `reconcile` drives what must become true, `ports` names what lower layers need from upper ones.
"""
