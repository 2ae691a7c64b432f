"""Anything that turns a file, a folder or a dataset card into recordings.

Every source is a MOABB data set object, so MOABB's paradigms and evaluations take it too.
"""
