"""What happened, row by row. Floor 2."""
