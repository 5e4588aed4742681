"""Inference components: models that share the instances of an endpoint's variant, each with its own copies."""
