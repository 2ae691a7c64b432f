"""MNE Raw in, MNE Raw out: channels, filters, rate, reference."""
