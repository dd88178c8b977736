"""What several kinds of source share; no kind is here."""
