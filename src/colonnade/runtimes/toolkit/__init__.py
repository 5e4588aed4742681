"""What a SageMaker training image runs as `train`, inside the job: the contract of script mode (semantics 1.4 to 1.6).

Standard library only: it starts before the user's code and adds to its start. `__main__` is the way in, `settings` reads the
job's configuration, `variables` makes the SM_* table of it, `entry` runs the user's program, `failures` tells what went wrong.
"""
