"""What a run is for: apply, verify, rollback, load test; and what is asked beside one: checkup, preflight."""
