"""Asynchronous endpoints: requests that wait in a queue of the store until an instance has time for them.

`queue` holds them, `dispatcher` (one per gateway worker) takes as many as there is capacity for and hands each to `processing`, which
reads the input, asks the router, writes the output and tells the topics. A request is a document from the moment that its caller has
been answered until the moment that its outcome is told, so whoever is killed in between, somebody else goes on with it.
"""
