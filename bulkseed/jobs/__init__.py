"""What a run is for: apply, verify, rollback, load test, preflight."""
