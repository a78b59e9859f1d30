"""Requests of many rows: Arrow columns from the client to the log, and no Python a row."""
