"""Deployment: models, endpoint configurations, endpoints."""
