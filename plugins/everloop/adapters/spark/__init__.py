"""Spark, the one engine past one machine: joins, features and training on a cluster. Optional: `make install-spark`."""
