"""From a ledger to numbers, plots and a page. Floor 2."""
