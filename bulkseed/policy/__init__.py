"""What to do about an answer. Floor 1: pure, no clock, no randomness, no I/O."""
