"""The eyes: watches Kubernetes and publishes whole snapshots of every canary. Never writes to the
cluster, never listens to the bus.

`core` is pure: objects in, CanaryObserved out. `sources` is the table of kinds that are watched,
`eyes` the one loop, `app` the wiring.
"""
