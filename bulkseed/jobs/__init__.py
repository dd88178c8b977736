"""What a run is for: apply, verify, rollback, load test. And what is asked beside a run: checkup, preflight."""
