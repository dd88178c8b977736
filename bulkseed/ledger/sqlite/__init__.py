"""The ledger as a SQLite file: opening, locking, schema, bulk inserts."""
