"""Colonnade: the machine-learning stack of the AWS Well-Architected ML Lens, self-hosted."""

__version__ = "0.1.0"
