"""What the pages say about parameters: sizes, characters, secret types."""
