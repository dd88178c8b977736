"""Manifest formats: one file per format, and one row of `table.FORMATS`."""
