"""One file for each kind of source. What several of them share is in `shared`."""
