"""Many targets in one run: the file that lists them, which line goes where, the folder of their ledgers."""
