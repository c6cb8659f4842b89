"""Pure: no clock, no I/O, no bus. Objects as the API server gives them in, snapshots out."""
