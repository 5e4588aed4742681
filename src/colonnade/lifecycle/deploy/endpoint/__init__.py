"""Endpoints: models behind a name that answers, changed and repaired without losing a call."""
