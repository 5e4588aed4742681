"""CloudWatch: metrics that anybody puts, and those of the platform itself; statistics over them."""
