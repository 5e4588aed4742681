"""Work that ends: its inputs from S3, its lines to the log, its artefacts back to S3.

Shared by all kinds of jobs (training, processing, transform); knows the shapes of channels and of the executor, no resource.
"""
