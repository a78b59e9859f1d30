"""A suite compiled to Polars: one pass over the rows, batch after batch, with the verdict of Great Expectations."""

from everloop.adapters.checks.compiled.suite import CompiledSuite, unsupported

__all__ = ["CompiledSuite", "unsupported"]
