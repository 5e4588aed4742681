"""Work that stays up: routing calls to the instances behind an endpoint, and the processes that hold user code.

`router` answers invocations from this process's snapshot of routes, `routes` keeps that snapshot in step with the store,
`replica` is the server that runs inside a runtime environment, `compiled` predicts without any user code. No transport:
the gateway translates HTTP at the edge.
"""
