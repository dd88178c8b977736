"""Values that change: each read at its source in its turn, and new versions of those that are ours."""
