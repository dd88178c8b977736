"""Measurements of bulkseed and its peers; each module says how to run it."""
