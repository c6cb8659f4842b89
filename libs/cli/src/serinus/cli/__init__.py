"""The `serinus` command: the demo on this machine, and verbs beside kubectl.

It speaks to Kubernetes and NATS like any other client; no service imports it.
"""
