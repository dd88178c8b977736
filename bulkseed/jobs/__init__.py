"""What a run is for: apply, verify, rollback, load test; and what is asked beside one.

That is the checkup, the preflight, which names and settled secrets exist, whose account and caller it is.
"""
