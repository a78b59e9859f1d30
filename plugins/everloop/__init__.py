"""everloop keeps tabular models good: it retrains, judges, releases, watches and reverts them."""

__version__ = "0.1.0"
