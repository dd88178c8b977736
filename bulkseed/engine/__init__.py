"""The machinery of a run: lane, intake, workers, driver, recorder, outages, stop-loss, lifecycle."""
