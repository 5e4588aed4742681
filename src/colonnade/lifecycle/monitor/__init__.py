"""Watching models in production: what monitors would compute, until schedules run them."""
