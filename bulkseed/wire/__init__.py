"""What travels between client and service: messages, encodings, signatures, actions. Floor 1, sans-IO."""
