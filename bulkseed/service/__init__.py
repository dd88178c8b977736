"""The local KMS, for real. Floor 3."""
