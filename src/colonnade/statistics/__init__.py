"""Statistics that the platform decides by: standard library only, since gateway workers count with them on the hot path."""
