"""Quotas per account and region: the exact window, the adaptive rate. Knows neither policy nor ledger."""
