"""Tasks that are no programs here: work done by another server, asked and waited for by HTTP."""
