"""60 expectations on a million rows: Great Expectations on pandas and in PostgreSQL, the compiled form, a Polars pass by hand."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from benchmarks import world
from benchmarks.process import measure
from benchmarks.record import Record
from everloop.adapters.checks.compiled import CompiledSuite
from everloop.adapters.checks.definition import Suite, parse
from everloop.demo import year
from everloop.settings import PROJECT

ROWS = 1_000_000
EXPECTATIONS = 60
REPEATS = 3


def main(rows: int = ROWS) -> None:
    """All sides on the same file, alternately."""
    record = Record("validation", packages=("great-expectations", "polars", "pandas"))
    with world.folder() as folder, world.postgres(shared_buffers="512MB", fsync="off") as server:
        path = folder / "flights.parquet"
        _resampled(rows).write_parquet(path)
        record.fact("rows", rows)
        record.fact("expectations", len(suite().expectations))
        uri = server.uri("everloop")
        _copied(uri, path)
        answers: dict[str, Any] = {}
        for repeat in range(REPEATS):
            for side in ("by_hand", "compiled", "compiled_in_batches", *(("on_pandas", "pushed_down") if repeat == 0 else ())):
                found = measure("benchmarks.validation", side, **({"uri": uri} if side == "pushed_down" else {"path": str(path)}))
                record.sample(side, seconds=found.value["seconds"], peak_mb=found.peak_mb)
                answers[side] = found.value["broken"]
    record.fact("broken rows by expectation equal on all sides", all(each == answers["by_hand"] for each in answers.values()))
    record.ratio("compiled / by hand", _times(record, "compiled", "by_hand"), 2.0, "lower")
    record.ratio("Great Expectations on pandas / compiled", _times(record, "on_pandas", "compiled"), 10, "higher")
    record.ratio("Great Expectations in PostgreSQL / compiled", _times(record, "pushed_down", "compiled"), 10, "higher")
    record.finish()


def _times(record: Record, one: str, other: str) -> float:
    return record.median(one, "seconds") / record.median(other, "seconds")


def suite() -> Suite:
    """The shipped rules of the flights that each row keeps, and as many again with other limits as make 60."""
    shipped = parse((PROJECT / "expectations" / "flights" / "flights.json").read_text(), "flights")
    by_row = [
        each for each in shipped.expectations if each.type.startswith("expect_column_values_") and "mostly" not in each.kwargs
    ]
    told: list[dict[str, Any]] = [{"type": e.type, "kwargs": dict(e.kwargs), "meta": {"severity": "warn"}} for e in by_row]
    told += [_between("distance", low, 5000 - low) for low in range(10, 300, 20)]
    told += [_between("arrival_delay", -low, 100 + 10 * low) for low in range(10, 100, 10)]
    told += [_of("dest", {"regex": regex}) for regex in ("^[A-M]", "^[A-Z]{3}$", "[AEIOU]", "^.[^X]")]
    told += [_of("carrier", {"value_set": codes.split()}) for codes in ("AA UA DL", "B6 EV MQ US WN", "9E AA AS B6 DL EV F9 FL")]
    told += [_between("flight", low, 9999) for low in range(1, 4000, 250)]
    return parse(json.dumps({"name": "flights", "expectations": told[:EXPECTATIONS]}), "flights")


def _between(column: str, low: float, high: float) -> dict[str, Any]:
    kwargs = {"column": column, "min_value": low, "max_value": high}
    return {"type": "expect_column_values_to_be_between", "kwargs": kwargs, "meta": {"severity": "warn"}}


def _of(column: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    kind = "match_regex" if "regex" in kwargs else "be_in_set"
    return {"type": f"expect_column_values_to_{kind}", "kwargs": {"column": column, **kwargs}, "meta": {"severity": "warn"}}


def by_hand(path: str) -> dict[str, Any]:
    """One select, as somebody would write it who has these 60 rules and Polars."""
    rows = pl.read_parquet(path)
    asked = [_expression(each.type, each.kwargs).alias(str(n)) for n, each in enumerate(suite().expectations)]
    began = time.perf_counter()
    told = rows.lazy().select(asked).collect().row(0)
    return {"seconds": time.perf_counter() - began, "broken": list(told)}


def _expression(kind: str, kwargs: dict[str, Any]) -> pl.Expr:
    value = pl.col(kwargs["column"])
    if kind.endswith("not_be_null"):
        return value.null_count()
    if kind.endswith("be_between"):
        return (~value.is_between(kwargs["min_value"], kwargs["max_value"])).sum()
    if kind.endswith("be_in_set"):
        return (~value.is_in(kwargs["value_set"])).sum()
    return (~value.str.contains(kwargs["regex"])).sum()


def compiled(path: str, at_once: int = 0) -> dict[str, Any]:
    """The compiled form on all rows at once."""
    rows = pq.read_table(path)
    definition = suite()
    began = time.perf_counter()
    at_work = CompiledSuite(definition)
    for batch in rows.to_batches(max_chunksize=at_once) if at_once else [rows]:
        at_work.add(batch)
    told = [found.broken for found in at_work.judged()]
    return {"seconds": time.perf_counter() - began, "broken": told}


def compiled_in_batches(path: str) -> dict[str, Any]:
    """The compiled form, as ingest feeds it: batch by batch."""
    return compiled(path, at_once=100_000)


def on_pandas(path: str) -> dict[str, Any]:
    """Great Expectations as the loop runs it on small intervals."""
    from everloop.adapters.checks.suites import _FORMAT

    rows = pq.read_table(path).to_pandas()
    context, expectations = _great_expectations()
    began = time.perf_counter()
    asset = context.data_sources.add_pandas(name="rows").add_dataframe_asset(name="flights")
    batch = asset.add_batch_definition_whole_dataframe(name="all").get_batch({"dataframe": rows})
    found = batch.validate(expectations, result_format=_FORMAT)
    return {"seconds": time.perf_counter() - began, "broken": _counts(found)}


def pushed_down(uri: str) -> dict[str, Any]:
    """Great Expectations by SQL where the rows are; counts alone, no positions."""
    context, expectations = _great_expectations()
    began = time.perf_counter()
    source = context.data_sources.add_postgres(
        name="airline", connection_string=uri.replace("postgresql://", "postgresql+psycopg2://")
    )
    batch = (
        source.add_table_asset(name="flights", table_name="bench_flights")
        .add_batch_definition_whole_table(name="all")
        .get_batch()
    )
    found = batch.validate(expectations, result_format={"result_format": "BASIC", "partial_unexpected_count": 0})
    return {"seconds": time.perf_counter() - began, "broken": _counts(found)}


def _great_expectations() -> tuple[Any, Any]:
    from everloop.adapters.checks.suites import _expectations, _quiet

    _quiet()
    import great_expectations

    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    return context, context.suites.add(_expectations(suite()))


def _counts(found: Any) -> list[int]:
    by_place = {each.expectation_config.meta["position"]: each.result["unexpected_count"] for each in found.results}
    return [int(by_place[n]) for n in range(len(by_place))]


def _resampled(rows: int) -> pl.DataFrame:
    """Real flights again and again; a thousandth of the values is spoilt, so that every side has something to find."""
    flown = year.frames()["flights"].sample(rows, with_replacement=True, seed=7)
    spoilt = pl.int_range(pl.len()) % 997 == 0
    return flown.with_columns(
        pl.when(spoilt).then(-pl.col("distance")).otherwise(pl.col("distance")).alias("distance"),
        pl.when(spoilt).then(pl.lit("??")).otherwise(pl.col("carrier")).alias("carrier"),
        pl.when(spoilt).then(None).otherwise(pl.col("dest")).alias("dest"),
    )


def _copied(uri: str, path: Path) -> None:
    import psycopg

    rows = pl.read_parquet(path)
    kinds = {pl.String: "text", pl.Int64: "bigint", pl.Float64: "double precision"}
    columns = ", ".join(
        f"{name} {kinds.get(type(kind)) or kinds.get(kind) or 'timestamptz'}" for name, kind in rows.schema.items()
    )
    text = io.BytesIO()
    rows.write_csv(text, include_header=False)
    with psycopg.connect(uri) as connection:
        connection.execute(f"CREATE TABLE bench_flights ({columns})")
        with connection.cursor().copy("COPY bench_flights FROM STDIN (FORMAT csv)") as copy:
            copy.write(text.getvalue())
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("ANALYZE bench_flights")


if __name__ == "__main__":
    main()
