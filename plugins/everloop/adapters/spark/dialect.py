"""The feature views' DuckDB SQL, said in Spark's: one definition for both engines."""

from __future__ import annotations

from everloop.errors import ConfigurationError


def spark_sql(sql: str) -> str:
    """`sql` in Spark's dialect; `$name` parameters become `:name`. `ConfigurationError` for what Spark cannot say."""
    try:
        import sqlglot
    except ImportError as error:
        raise ConfigurationError("Spark is asked for, and sqlglot is not installed: run `make install-spark`") from error

    try:
        (said,) = sqlglot.transpile(sql, read="duckdb", write="spark", unsupported_level=sqlglot.ErrorLevel.RAISE)
    except (sqlglot.ParseError, sqlglot.UnsupportedError, ValueError) as error:
        raise ConfigurationError(
            f"This SQL cannot be said in Spark's dialect: {error}. Write it in what both engines know, or compute the view "
            f"with DuckDB:\n{sql}"
        ) from error
    return said
