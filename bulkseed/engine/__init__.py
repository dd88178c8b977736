"""The client's I/O shell: intake, lanes, transport, seed. Floor 3."""
