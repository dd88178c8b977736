"""A service that can be called at a pace: credentials, operations, its time, what replies may say."""
