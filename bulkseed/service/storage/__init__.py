"""What the local KMS keeps: keys, secrets, versions, sealed values."""
