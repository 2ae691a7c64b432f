"""Splits, metrics, and the loop that fills the results store."""
