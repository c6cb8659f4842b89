"""How a notice looks on each channel. A sender renders; posting, retries and records are stages."""
