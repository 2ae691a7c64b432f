"""Builds a pipeline file into objects and runs it: the only room that knows every other."""
