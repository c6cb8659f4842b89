"""One kind of autoscaler per file: what the primary's own one looks like. Pure."""
