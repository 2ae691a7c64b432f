"""Figures that the dashboard and the report share: a drawing, its numbers, and what to call it."""
