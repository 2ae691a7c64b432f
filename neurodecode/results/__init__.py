"""What a score is, where it is kept, what can be asked of it."""
