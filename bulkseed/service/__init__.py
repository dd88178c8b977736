"""The local KMS. Start reading at `kms` (one request), `gate` (many), `local` (a service). Floor 3."""
