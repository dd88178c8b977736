"""What each API action does in the local KMS."""
