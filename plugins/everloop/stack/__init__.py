"""`everloop up`: embedded PostgreSQL, the supervisor and the settings they start from."""
