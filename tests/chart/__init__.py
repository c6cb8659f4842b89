"""The Helm chart as helm renders it, without a cluster. `render.py` writes the goldens."""
