"""Feast's own API and command line, on our stores."""

from __future__ import annotations

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
from feast.cli.cli import cli
from feast.data_source import DataSource

from everloop.adapters.features import FeastFeatures
from everloop.adapters.features.offline import pinned
from everloop.adapters.features.source import DeltaSource
from everloop.adapters.lake import DeltaLake
from everloop.errors import ConfigurationError, DataError
from fakes.lake import MemoryLake
from fakes.taxi import DAYS, TAXI, entities, publish

REPO = Path(__file__).with_name("repo")
FARES = ["driver_fares:mean_2d", "driver_fares:trips_2d"]


@pytest.fixture
def ingested(feast_features: FeastFeatures, lake: MemoryLake) -> FeastFeatures:
    for n, day in enumerate(DAYS[:2]):
        publish(lake, day, {"ann": [10.0 + n], "bob": [5.0]}, {"ann": "north"} if n == 0 else {})
        feast_features.compute(day)
    return feast_features


def as_of(features: FeastFeatures, moment: datetime | None) -> Any:
    """The store, its online reads speaking of `moment`."""
    features.store.config.online_store.as_of = moment
    return features.store


def online(store: Any, driver: str) -> tuple[Any, Any]:
    found = store.get_online_features(FARES, [{"driver": driver}]).to_dict()
    return found["mean_2d"][0], found["trips_2d"][0]


def test_a_source_survives_the_registry() -> None:
    source = DeltaSource(
        table="t",
        sql="SELECT 1 FROM a",
        tables=["a"],
        lookback=timedelta(days=2),
        pushed_from="a",
        description="why",
        tags={"team": "x"},
        owner="us",
    )
    again = DataSource.from_proto(source.to_proto())
    assert again == source
    assert (again.sql, again.tables, again.lookback, again.pushed_from) == (
        source.sql,
        ("a",),
        timedelta(days=2),
        "a",
    )
    assert again != DeltaSource(table="t", sql="SELECT 2 FROM a", tables=["a"])


def test_a_push_from_a_table_that_the_sql_does_not_read_alone_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="one table only"):
        DeltaSource(table="t", sql="SELECT 1 FROM a, b", tables=["a", "b"], pushed_from="a")


def test_pandas_and_sql_entities_get_the_same_history(ingested: FeastFeatures) -> None:
    store, end = ingested.store, DAYS[1].end
    frame = pd.DataFrame({"driver": ["ann", "zed"], "event_timestamp": [end.replace(tzinfo=None)] * 2})
    found = store.get_historical_features(frame, FARES).to_df()
    assert found["mean_2d"].tolist()[0] == 10.5
    assert pd.isna(found["mean_2d"].tolist()[1])
    sql = "SELECT DISTINCT driver, TIMESTAMPTZ '2013-01-03 00:00:00Z' AS event_timestamp FROM trips WHERE driver = 'ann'"
    assert store.get_historical_features(sql, FARES, full_feature_names=True).to_df()["driver_fares__mean_2d"].tolist() == [10.5]


def test_a_join_key_that_the_entities_lack_is_named(ingested: FeastFeatures) -> None:
    frame = pd.DataFrame({"city": ["JFK"], "event_timestamp": [DAYS[1].end]})
    with pytest.raises(ConfigurationError, match=r"lack the join keys \['driver'\]"):
        ingested.store.get_historical_features(frame, FARES)


def test_versions_are_pinned_through_feast_too(ingested: FeastFeatures, lake: MemoryLake) -> None:
    frame = pd.DataFrame({"driver": ["ann"], "event_timestamp": [DAYS[1].end]})
    with pinned({"driver_fares": lake.version("driver_fares") - 1}):
        job = ingested.store.get_historical_features(frame, FARES)
    assert job.to_df()["mean_2d"].tolist() == [10.0]


def test_materialize_fills_the_online_store_and_never_turns_it_back(ingested: FeastFeatures) -> None:
    store = as_of(ingested, DAYS[1].end)
    store.materialize(DAYS[0].start, DAYS[1].end)
    assert online(store, "ann") == (10.5, 2)
    store.materialize(DAYS[0].start, DAYS[0].end)
    assert online(store, "ann") == (10.5, 2)
    assert ingested.materialize(DAYS[1])["driver_fares"] == 0


def test_reads_obey_the_ttl_of_now(ingested: FeastFeatures) -> None:
    ingested.materialize(DAYS[1])
    assert online(as_of(ingested, DAYS[1].end + timedelta(days=3)), "ann") == (10.5, 2)
    assert online(as_of(ingested, DAYS[1].end + timedelta(days=3, seconds=1)), "ann") == (None, None)
    assert online(as_of(ingested, None), "ann") == (None, None)
    assert online(as_of(ingested, DAYS[1].end), "zed") == (None, None)


def test_async_reads_equal_the_others(ingested: FeastFeatures) -> None:
    ingested.materialize(DAYS[1])
    store = as_of(ingested, DAYS[1].end)

    async def read() -> Any:
        try:
            return await store.get_online_features_async(FARES, [{"driver": "ann"}])
        finally:
            await store.close()

    assert asyncio.run(read()).to_dict()["mean_2d"] == [10.5]


def test_a_push_lands_and_an_older_one_does_not(feast_features: FeastFeatures) -> None:
    now = datetime.now(UTC)

    def push(level: float, moment: datetime) -> None:
        frame = pd.DataFrame({"city": ["JFK"], "level": [level], "event_timestamp": [moment], "created": [moment]})
        feast_features.store.push("city_push", frame)

    push(4.0, now)
    push(9.0, now - timedelta(minutes=5))
    assert feast_features.store.get_online_features(["city_level:level"], [{"city": "JFK"}]).to_dict()["level"] == [4.0]
    push(5.0, now)
    assert feast_features.store.get_online_features(["city_level:level"], [{"city": "JFK"}]).to_dict()["level"] == [5.0]


def test_a_missing_number_stays_missing_when_feast_writes_it(feast_features: FeastFeatures, everloop_database: str) -> None:
    moment = DAYS[0].start
    frame = pd.DataFrame(
        {"city": ["EWR", "JFK"], "level": [1.0, float("nan")], "event_timestamp": [moment] * 2, "created": [moment] * 2}
    )
    feast_features.store.write_to_online_store("city_level", frame)
    with psycopg.connect(everloop_database) as connection:
        found = connection.execute("SELECT city, level FROM online.taxi_city_level ORDER BY city").fetchall()
    assert found == [("EWR", 1.0), ("JFK", None)]


def test_request_time_features_are_computed_online(feast_features: FeastFeatures) -> None:
    asked = [{"asked_at": datetime(2013, 1, 1, 5, tzinfo=UTC)}]
    assert feast_features.store.get_online_features(["clock:hour"], asked).to_dict()["hour"] == [5]


def test_applying_again_removes_what_is_no_longer_declared_and_keeps_its_table(
    tmp_path: Path, lake: MemoryLake, feast_features: FeastFeatures, everloop_database: str
) -> None:
    repo = edited(tmp_path, "[driver_fares, driver_home, city_level, clock]", "[driver_fares, clock]", end="del driver_home\n")
    smaller = FeastFeatures(repo, TAXI, lake, everloop_database)
    smaller.apply()
    smaller.apply()
    assert sorted(view.name for view in smaller.store.list_feature_views()) == ["city_level", "driver_fares"]
    assert [view.name for view in smaller.plan().views] == ["driver_fares"]
    with psycopg.connect(everloop_database) as connection:
        assert connection.execute("SELECT count(*) FROM online.taxi_driver_home").fetchone() == (0,)


def test_many_may_apply_at_once(everloop_database: str) -> None:
    def apply(_: int) -> list[str]:
        features = FeastFeatures(REPO, TAXI, MemoryLake(), everloop_database)
        features.apply()
        return [view.name for view in features.plan().views]

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(apply, range(3))) == [["driver_fares", "driver_home", "city_level"]] * 3


def test_sql_that_does_not_give_the_declared_columns_is_refused(tmp_path: Path, lake: MemoryLake, everloop_database: str) -> None:
    repo = edited(tmp_path, "sql=DRIVER_FARES", 'sql=DRIVER_FARES.replace("driver,", "driver, 1 AS surplus,", 1)')
    features = FeastFeatures(repo, TAXI, lake, everloop_database)
    features.apply()
    publish(lake, DAYS[0], {"ann": [1.0]})
    with pytest.raises(DataError, match="surplus"):
        features.compute(DAYS[0])


def test_a_registry_without_the_service_says_what_to_do(lake: MemoryLake, everloop_database: str) -> None:
    with pytest.raises(ConfigurationError, match="apply the repository"):
        FeastFeatures(REPO, TAXI, lake, everloop_database).plan()


def test_a_use_case_without_a_module_is_named(tmp_path: Path, lake: MemoryLake, everloop_database: str) -> None:
    shutil.copy(REPO / "feature_store.yaml", tmp_path)
    with pytest.raises(ConfigurationError, match=r"no taxi\.py"):
        FeastFeatures(tmp_path, TAXI, lake, everloop_database).apply()


def test_the_command_line_applies_and_materializes(
    tmp_path: Path, everloop_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVERLOOP_DATABASE", everloop_database)
    monkeypatch.setenv("EVERLOOP_ONLINE", everloop_database)
    monkeypatch.setenv("EVERLOOP_LAKE", str(tmp_path / "lake"))
    repo = edited(tmp_path, "", "")
    monkeypatch.chdir(repo)
    run("apply")
    lake = DeltaLake(str(tmp_path / "lake" / "taxi"))
    publish(lake, DAYS[0], {"ann": [8.0]})
    features = FeastFeatures(REPO, TAXI, lake, everloop_database)
    features.compute(DAYS[0])
    run("materialize", DAYS[0].start.isoformat(), DAYS[0].end.isoformat())
    asked = entities(("ann", "JFK", DAYS[0].end))
    assert features.online(asked)["driver_fares__mean_2d"].to_pylist() == [8.0]
    assert features.online(asked).equals(features.history(asked))


def run(*arguments: str) -> None:
    cli.main(list(arguments), standalone_mode=False)


def edited(folder: Path, old: str, new: str, end: str = "") -> Path:
    """A copy of the repository with a text replaced and an end added."""
    repo = folder / "repo"
    shutil.copytree(REPO, repo, ignore=shutil.ignore_patterns("__pycache__"))
    module = repo / "taxi.py"
    module.write_text(module.read_text().replace(old, new) + end if old else module.read_text())
    return repo
