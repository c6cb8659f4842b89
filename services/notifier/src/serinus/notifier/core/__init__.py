"""What is said and to whom: pure functions on facts and specs. No I/O, no clock."""
