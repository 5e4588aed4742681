"""Amazon SNS: topics, their subscribers, and what is published to them.

Publish writes one delivery for each subscriber that wants the message, in one transaction; the subscription's reconciler brings them
there, in order, until each has arrived or is given up. The platform's own parts publish through the port `Notifications`.
"""
