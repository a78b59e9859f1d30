"""Feature vectors at request time: the online store's views behind a cache, the release's own functions by call."""
