"""Models: a container image, where its model data lies, and as whom they are read."""
