"""The straight path: plain signed requests of clients that are known by the heads that they write."""
