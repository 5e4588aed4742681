"""Amazon SQS: queues whose messages are documents in the store.

What SendMessage has answered is durable. A message is its own document under the queue's scope, and the column by which the store
orders changes holds the instant from which it may be received: receiving, delaying and giving back are all one write of that.
"""
