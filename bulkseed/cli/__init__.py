"""The command line: one file per command. Floor 4."""
