-- Stands in for a library that is loaded always and used for `upstream-hash-by` only.
return {}
