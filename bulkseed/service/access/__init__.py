"""Who may do what, and how often: accounts, signatures, policies, quotas."""
