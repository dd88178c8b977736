"""One request over a connection, and its reply. Knows neither policy nor ledger."""
