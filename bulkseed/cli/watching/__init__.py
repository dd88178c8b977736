"""What people and machines see of a run while it goes on: progress, logs, metrics, traces."""
