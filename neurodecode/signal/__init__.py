"""The mathematics: arrays in, arrays out. Knows nothing of files, events or labels."""
