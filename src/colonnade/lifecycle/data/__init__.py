"""Who labels and reviews data, and what they are shown: workforces, work teams, task templates, flow definitions."""
