"""How models are judged: workloads to benchmark them with."""
