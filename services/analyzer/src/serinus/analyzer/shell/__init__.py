"""The brain's hands and ears: clocks, requests, the status it writes. Decisions are in `core`."""
