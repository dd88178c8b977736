"""Definitions made from a template and a table: one for each row."""
