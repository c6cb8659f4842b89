"""The pages of the docs that are made from the catalogs; `book` has them all."""
