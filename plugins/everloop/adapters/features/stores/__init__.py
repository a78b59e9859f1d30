"""Where a view's newest rows lie for the scorer: one contract, PostgreSQL and Redis. Imports no Feast."""
