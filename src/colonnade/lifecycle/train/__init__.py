"""Training models: jobs, and what searches with them."""
