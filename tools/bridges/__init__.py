"""What the table of bridged methods needs."""
