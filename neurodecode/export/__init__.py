"""Nets as files that other simulators, and neuromorphic hardware, can read."""
