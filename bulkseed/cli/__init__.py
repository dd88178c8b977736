"""The command line: a file for each command, which `app` names, and what they share. Floor 6."""
