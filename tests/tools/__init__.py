"""Programs that no package index ships, for tests only: found, installed or built once."""
