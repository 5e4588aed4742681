"""What is kept about everything else: tags now; registries, cards and lineage later."""
