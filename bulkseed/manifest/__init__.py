"""Where definitions come from. Floor 2."""
