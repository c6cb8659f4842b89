"""The voice: turns facts into Kubernetes Events, event webhooks and chat messages.

It follows and tells; it decides nothing and nothing waits for it.
"""
