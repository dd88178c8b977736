"""Other stores of secrets, as sources: list names and versions first, read each value when it is sent."""
