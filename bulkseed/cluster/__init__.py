"""Many targets on many machines: the coordinator owns the ledgers, Dask's workers send."""
