"""The actions of the API: one file per action, both directions, and one row of `table.ACTIONS`."""
