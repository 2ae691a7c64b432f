"""What runs while the signal is still coming; nothing here trains or scores."""
