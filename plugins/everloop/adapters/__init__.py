"""The outside systems, each behind the Protocol of `everloop.ports` that it serves."""
