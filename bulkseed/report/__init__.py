"""A ledger as one page that proves what happened: numbers, plots, HTML.

The room knows the ledger by its documented tables only, as any SQLite client does. Floor 2.
"""
