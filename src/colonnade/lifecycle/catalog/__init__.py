"""What is kept about everything else: tags, model registry and cards, experiments, lineage, hubs."""
