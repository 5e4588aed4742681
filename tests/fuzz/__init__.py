"""Inputs by the thousand: real requests, bent out of shape, against the whole gateway and all operations in one process."""
