"""The local KMS. Floor 3. Elsewhere "the service" is whatever KMS a run talks to.

Start reading at `kms` (one request), `shell.group_commit` (many), `shell.local` (a service for a program).
"""
