"""Devices at the edge: fleets, and the devices registered in them."""
