"""Serverless variants: nothing runs and nothing is loaded while nobody calls; calls bring up what they need, up to a bound.

In each worker a `gate` bounds the calls of all workers together and tells the leader of the demand; a `resting` slot loads a compiled
model at its first call and lets it go when it is idle. In the leader, `demand` remembers what was asked for lately, from which the
endpoint's reconciler takes how many processes there shall be.
"""
