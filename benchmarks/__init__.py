"""Side-by-side runs against peers: `make bench NAME=<module>` prints a table and renews `results/<module>.json`."""
