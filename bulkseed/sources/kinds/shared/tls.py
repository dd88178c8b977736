"""TLS for the vendors' clients that writes no keys: each would obey SSLKEYLOGFILE, whoever has set it.

Whoever reads that file reads values. The clients look at the variable when they make a context, so each is
given one of ours, and the environment of the program that this runs in stays as it is.
"""

from __future__ import annotations

import ssl
import sys


def keyless_context() -> ssl.SSLContext:
    """Return a context as `urllib3` makes it, without a file of keys; what to trust is yet to be loaded."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.post_handshake_auth = True
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    return context
