"""What only ``bulkseed plan`` prints."""
