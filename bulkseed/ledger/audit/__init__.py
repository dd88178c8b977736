"""The proof that a ledger adds up."""
