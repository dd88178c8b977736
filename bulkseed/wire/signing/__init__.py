"""Both signatures: making them, checking them, showing their layers."""
