"""How the local KMS is reached and kept: HTTP, faults, group commit, real databases."""
