"""The local KMS in a browser: how each request is signed, sent, and why one was refused."""
