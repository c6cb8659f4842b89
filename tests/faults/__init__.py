"""The ring as processes on real servers, and what becomes of rollouts when one of them dies."""
