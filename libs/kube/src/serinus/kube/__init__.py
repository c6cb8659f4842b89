"""The one way to speak to the Kubernetes API, and what there is to know about its objects.

Behind `cluster.Cluster` is I/O: `client` (requests), `connection` (credentials, TLS), `watch` and
`store` (what is, kept up to date). The rest is pure and free for cores to import: `refs` (names,
labels, owners), `revision` (template hashes), `configs` (tracked ConfigMaps and Secrets),
`readiness` (rollout rules). Imports go from the first group to the second, never back.
"""
