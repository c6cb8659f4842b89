"""What a request asks for and what a tool's output says: pure functions."""
