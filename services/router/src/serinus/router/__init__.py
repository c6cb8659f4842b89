"""The hands: makes the cluster match the newest intent of each canary, and reads back what is.

core/        what to do next, as data: pure
meshes/      one file and one row per mesh: pure functions on plain objects
workloads/   target -> primary, parking and waking, one row per kind: pure
scalers/     the primary's autoscaler: pure
services.py  the three ClusterIP Services: pure
configs.py   the primary's copies of ConfigMaps and Secrets: pure
executor.py  the only file that speaks to the cluster
"""
