"""One kind of workload per file: how its primary is made, promoted, parked and woken. Pure."""
