"""Expectation suites: read from JSON, run by Great Expectations, shown as its Data Docs."""

from everloop.adapters.checks.suites import ExpectationSuites

__all__ = ["ExpectationSuites"]
