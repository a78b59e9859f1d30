"""What Feast's own offline store tests hold a store to, held against ours.

Feast's case (sdk/python/tests/integration/offline_store, unit/infra/offline_stores): our test.

- test_historical_features_main, test_odfv_projection: test_features_come_under_short_and_full_names, test_only_the_request_time_*
- test_historical_features_with_shared_batch_source: test_a_feature_that_the_view_lacks_is_refused
- test_historical_features_with_missing_request_data: test_missing_request_data_is_refused
- test_historical_features_with_entities_from_query: test_sql_and_frames_in_any_time_zone_get_the_same_rows
- test_historical_features_persisting, test_persist_*, TestSavedDatasetStorageDispatch: test_a_saved_dataset_*
- test_historical_features_with_no_ttl, test_ttl_excludes_stale_features: test_a_view_without_ttl_never_expires_and_one_with_does
- test_historical_features_containing_backfills, *_created_at_tiebreaker: test_of_one_event_the_latest_created_counts
- test_historical_features_field_mapping: test_renamed_columns_are_found
- test_historical_features_non_entity_retrieval, test_non_entity_mode_*: test_a_time_range_*
- test_historical_features_filter_by_created_timestamp: test_what_was_created_later_is_not_seen_*
- test_push_features_and_read, test_offline_write.py: test_pushed_rows_are_read, test_rows_*
- test_universal_materialization_consistency, pull_latest, pull_all: test_pulls_*, test_feasts_engine_*
- test_universal_types.py, test_int32_entity_key: test_entity_columns_of_other_types_*
- test_entity_df_with_extra_columns, test_overlapping_feature_names_*: test_extra_columns_and_order_stay
- test_compound_join_keys: test_asof.py, which proves the join itself by property
- entity aliases, views without entity: test_one_view_serves_two_roles, test_a_view_without_entity_answers_every_row
- materialize by the command line, online reads: test_feast_api.py

Not covered: feature logging (everloop has its prediction log), validation by profiles (Great Expectations does it here), the SQL
templates of other stores, remote and hybrid stores.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, PushSource, RepoConfig, RequestSource, ValueType
from feast.data_source import PushMode
from feast.errors import RequestDataNotFoundInEntityDfException, SavedDatasetLocationAlreadyExists
from feast.on_demand_feature_view import on_demand_feature_view
from feast.saved_dataset import SavedDatasetStorage
from feast.types import Float64, Int64, String

from everloop.adapters.features.history.saved import SavedDatasetDelta
from everloop.adapters.features.offline import DeltaOfflineStore, DeltaOfflineStoreConfig
from everloop.adapters.features.source import DeltaSource
from everloop.adapters.lake import DeltaLake
from everloop.errors import ConfigurationError, DataError
from everloop.interval import Interval

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOON = datetime(2013, 3, 10, 12, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
place = Entity(name="place", join_keys=["place_id"], value_type=ValueType.STRING)


def source(table: str, **options: Any) -> DeltaSource:
    return DeltaSource(table=table, sql=f"SELECT * FROM raw_{table}", tables=[f"raw_{table}"], **options)


stats = FeatureView(
    name="stats",
    entities=[driver],
    ttl=2 * DAY,
    schema=[Field(name="rate", dtype=Float64), Field(name="trips", dtype=Int64)],
    source=PushSource(name="stats_push", batch_source=source("stats")),
)
profile = FeatureView(
    name="profile", entities=[driver], ttl=None, schema=[Field(name="home", dtype=String)], source=source("profile")
)
warmth = FeatureView(
    name="warmth",
    entities=[place],
    ttl=None,
    schema=[Field(name="degrees", dtype=Float64)],
    source=source(
        "warmth", timestamp_field="measured_at", created_timestamp_column="", field_mapping={"c": "degrees", "where": "place_id"}
    ),
)
world_wide = FeatureView(
    name="world_wide", entities=[], ttl=None, schema=[Field(name="rides", dtype=Int64)], source=source("world_wide")
)
request = RequestSource(name="request", schema=[Field(name="to_add", dtype=Float64)])


@on_demand_feature_view(sources=[stats, request], schema=[Field(name="more", dtype=Float64)], mode="pandas")
def by_pandas(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"more": inputs["rate"] + inputs["to_add"]})


@on_demand_feature_view(
    sources=[stats, request], schema=[Field(name="sum", dtype=Float64), Field(name="twice", dtype=Float64)], mode="python"
)
def by_python(inputs: dict[str, list[Any]]) -> dict[str, list[Any]]:
    rates = [0.0 if rate is None else rate for rate in inputs["rate"]]
    return {"sum": [r + a for r, a in zip(rates, inputs["to_add"], strict=True)], "twice": [2 * rate for rate in rates]}


@on_demand_feature_view(sources=[request], schema=[Field(name="next", dtype=Float64)], mode="python")
def of_request(inputs: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {"next": [value + 1 for value in inputs["to_add"]]}


everything = FeatureService(name="everything", features=[stats[["rate"]], profile, by_python[["sum"]]])
roles = FeatureService(
    name="roles", features=[warmth.with_name(role).with_join_key_map({"place_id": f"{role}_id"}) for role in ("origin", "dest")]
)
DECLARED = [driver, place, stats, profile, warmth, world_wide, by_pandas, by_python, of_request, everything, roles]


def times(*moments: datetime) -> pa.Array:
    return pa.array(moments, TIME)


def fill(lake: DeltaLake) -> None:
    """Driver 1: a rate a day, of which the last was corrected five hours later; driver 2: one row."""
    day = Interval(NOON - 10 * DAY, NOON + 10 * DAY)
    lake.replace(
        "stats",
        pa.table(
            {
                "driver_id": [1, 1, 1, 2],
                "rate": [0.1, 0.2, 0.25, 0.5],
                "trips": [10, 20, 25, 50],
                "event_timestamp": times(NOON - DAY, NOON, NOON, NOON - DAY),
                "created": times(NOON - DAY, NOON, NOON + 5 * HOUR, NOON - DAY),
            }
        ),
        day,
    )
    before = times(NOON - 9 * DAY)
    lake.replace("profile", pa.table({"driver_id": [1], "home": ["north"], "event_timestamp": before, "created": before}), day)
    lake.replace("warmth", pa.table({"where": ["JFK"], "c": [4.5], "measured_at": times(NOON)}), day)
    lake.replace("world_wide", pa.table({"rides": [7], "event_timestamp": times(NOON), "created": times(NOON)}), day)


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeatureStore]:
    folder = tmp_path_factory.mktemp("peer")
    config = RepoConfig(
        project="peer",
        provider="local",
        registry=str(folder / "registry.db"),
        offline_store=DeltaOfflineStoreConfig(lake=str(folder / "lake")),
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        entity_key_serialization_version=3,
        repo_path=folder,
    )
    store = FeatureStore(config=config)
    fill(DeltaLake(str(folder / "lake" / "peer")))
    store.apply(DECLARED)
    yield store
    store.teardown()


@pytest.fixture
def store(applied: FeatureStore, tmp_path: Path) -> FeatureStore:
    """The shared definitions, on a lake of the test's own."""
    applied.config.offline_store.lake = str(tmp_path)
    fill(DeltaLake(str(tmp_path / "peer")))
    return applied


def asked(*rows: tuple[int, datetime], **columns: list[Any]) -> pd.DataFrame:
    frame = pd.DataFrame({"driver_id": [key for key, _ in rows], "event_timestamp": [moment for _, moment in rows]})
    return frame.assign(**columns)


def values(store: FeatureStore, entity_df: Any, refs: Any, **options: Any) -> dict[str, list[Any]]:
    found = store.get_historical_features(entity_df, refs, **options).to_arrow().to_pydict()
    return {name: column for name, column in found.items() if name not in ("driver_id", "event_timestamp")}


@pytest.mark.parametrize(("full", "names"), [(True, ["stats__rate", "profile__home"]), (False, ["rate", "home"])])
def test_features_come_under_short_and_full_names(store: FeatureStore, full: bool, names: list[str]) -> None:
    found = values(store, asked((1, NOON)), ["stats:rate", "profile:home"], full_feature_names=full)
    assert found == dict(zip(names, [[0.2], ["north"]], strict=True))


def test_a_service_gives_its_own_features_and_no_other(store: FeatureStore) -> None:
    found = values(store, asked((1, NOON), to_add=[1.0]), store.get_feature_service("everything"), full_feature_names=True)
    # Feast adds all that a request-time view may read: here `trips`.
    assert found == {
        "to_add": [1.0],
        "stats__rate": [0.2],
        "stats__trips": [20],
        "profile__home": ["north"],
        "by_python__sum": [1.2],
    }


@pytest.mark.parametrize("full", [True, False])
def test_request_time_views_run_in_each_mode(store: FeatureStore, full: bool) -> None:
    refs = ["by_pandas:more", "by_python:sum", "by_python:twice", "of_request:next", "stats:rate"]
    found = values(store, asked((1, NOON), (9, NOON), to_add=[1.0, 2.0]), refs, full_feature_names=full)
    named = found if full else {f"{view}__{name}": found[name] for view, _, name in (ref.partition(":") for ref in refs)}
    assert named["by_pandas__more"][0] == 1.2
    assert named["by_python__sum"] == [1.2, 2.0]
    assert named["by_python__twice"] == [0.4, 0.0]
    assert named["of_request__next"] == [2.0, 3.0]
    assert named["stats__rate"] == [0.2, None]


def test_only_the_request_time_features_that_were_asked_for_come(store: FeatureStore) -> None:
    found = values(store, asked((1, NOON), to_add=[1.0]), ["by_python:twice"])
    assert "twice" in found
    assert "sum" not in found


def test_missing_request_data_is_refused(store: FeatureStore) -> None:
    with pytest.raises(RequestDataNotFoundInEntityDfException, match="to_add"):
        store.get_historical_features(asked((1, NOON)), ["of_request:next"])


def test_a_feature_that_the_view_lacks_is_refused(store: FeatureStore) -> None:
    with pytest.raises(KeyError, match="altitude"):
        store.get_historical_features(asked((1, NOON)), ["stats:altitude"])


def test_sql_and_frames_in_any_time_zone_get_the_same_rows(store: FeatureStore) -> None:
    refs = ["stats:rate", "profile:home"]
    sql = "SELECT DISTINCT driver_id, TIMESTAMPTZ '2013-03-10 12:00:00Z' AS event_timestamp FROM stats ORDER BY driver_id"
    aware = pd.DataFrame({"driver_id": [1, 2], "event_timestamp": pd.to_datetime([NOON, NOON], utc=True)})
    frames = [
        aware,
        aware.assign(event_timestamp=aware["event_timestamp"].dt.tz_localize(None)),
        aware.assign(event_timestamp=aware["event_timestamp"].dt.tz_convert("America/New_York")),
        pa.Table.from_pandas(aware),
        sql,
    ]
    assert [values(store, frame, refs) for frame in frames] == [{"rate": [0.2, 0.5], "home": ["north", None]}] * len(frames)


def test_the_only_column_of_times_is_the_moment_whatever_its_name(store: FeatureStore) -> None:
    frame = asked((1, NOON)).rename(columns={"event_timestamp": "asked_at"})
    assert store.get_historical_features(frame, ["stats:rate"]).to_df()["rate"].tolist() == [0.2]


def test_extra_columns_and_order_stay(store: FeatureStore) -> None:
    frame = asked((2, NOON), (9, NOON), (1, NOON), (2, NOON), note=["a", None, "c", "a"], weight=[1.5, 2.5, 3.5, 1.5])
    found = store.get_historical_features(frame, ["stats:trips"]).to_arrow()
    assert found.column_names == ["driver_id", "event_timestamp", "note", "weight", "trips"]
    assert found["note"].to_pylist() == ["a", None, "c", "a"]
    assert found["trips"].to_pylist() == [50, None, 20, 50]


@pytest.mark.parametrize("kind", ["int32", "float64", "Int64", "object"])
def test_entity_columns_of_other_types_are_taken_when_the_values_fit(store: FeatureStore, kind: str) -> None:
    frame = asked((1, NOON), (2, NOON)).astype({"driver_id": kind})
    assert values(store, frame, ["stats:trips"])["trips"] == [20, 50]


def test_entity_values_that_do_not_fit_are_named(store: FeatureStore) -> None:
    with pytest.raises(DataError, match='"driver_id" of the entity rows is double and should be int64'):
        store.get_historical_features(asked((1, NOON)).assign(driver_id=1.5), ["stats:rate"])


def test_a_feature_that_the_entity_rows_already_have_is_refused(store: FeatureStore) -> None:
    with pytest.raises(ConfigurationError, match=r"already have columns \['rate'\]"):
        store.get_historical_features(asked((1, NOON), rate=[0.9]), ["stats:rate"])
    assert values(store, asked((1, NOON), rate=[0.9]), ["stats:rate"], full_feature_names=True)["stats__rate"] == [0.2]


def test_renamed_columns_are_found(store: FeatureStore) -> None:
    frame = pd.DataFrame({"place_id": ["JFK", "JFK"], "event_timestamp": [NOON, NOON - HOUR]})
    assert values(store, frame, ["warmth:degrees"])["degrees"] == [4.5, None]


def test_a_view_without_ttl_never_expires_and_one_with_does(store: FeatureStore) -> None:
    moments = [NOON + 2 * DAY, NOON + 2 * DAY + timedelta(microseconds=1), NOON + 5000 * DAY]
    found = values(store, asked(*((1, moment) for moment in moments)), ["stats:rate", "profile:home"])
    assert found == {"rate": [0.25, None, None], "home": ["north"] * 3}


@pytest.mark.parametrize("asked_for", [True, False])
def test_what_was_created_later_is_not_seen_whether_feast_asks_for_that_or_not(store: FeatureStore, asked_for: bool) -> None:
    frame = asked((1, NOON + 4 * HOUR), (1, NOON + 5 * HOUR))
    assert values(store, frame, ["stats:rate"], filter_by_created_timestamp=asked_for)["rate"] == [0.2, 0.25]


def test_of_one_event_the_latest_created_counts(store: FeatureStore) -> None:
    assert values(store, asked((1, NOON + DAY)), ["stats:trips"])["trips"] == [25]


def test_one_view_serves_two_roles(store: FeatureStore) -> None:
    frame = pd.DataFrame({"origin_id": ["JFK", "EWR"], "dest_id": ["LAX", "JFK"], "event_timestamp": [NOON, NOON]})
    found = store.get_historical_features(frame, roles, full_feature_names=True).to_df()
    assert found["origin__degrees"].fillna(-1).tolist() == [4.5, -1]
    assert found["dest__degrees"].fillna(-1).tolist() == [-1, 4.5]


def test_a_view_without_entity_answers_every_row(store: FeatureStore) -> None:
    found = values(store, asked((1, NOON), (9, NOON), (1, NOON - HOUR)), ["world_wide:rides", "stats:trips"])
    assert found == {"rides": [7, 7, None], "trips": [20, None, 10]}


def test_a_time_range_gives_what_became_known_in_it(store: FeatureStore) -> None:
    job = store.get_historical_features(None, ["stats:rate"], start_date=NOON - DAY, end_date=NOON + 5 * HOUR)
    found = [tuple(row.values()) for row in job.to_arrow().to_pylist()]
    assert found == [(1, NOON - DAY, 0.1), (2, NOON - DAY, 0.5), (1, NOON, 0.2), (1, NOON + 5 * HOUR, 0.25)]


def test_a_time_range_without_start_begins_a_ttl_before_its_end(store: FeatureStore) -> None:
    job = store.get_historical_features(None, ["stats:rate"], end_date=(NOON + DAY).replace(tzinfo=None))
    assert job.to_arrow()["rate"].to_pylist() == [0.1, 0.5, 0.2, 0.25]
    assert store.get_historical_features(None, ["stats:rate"]).to_arrow().num_rows == 0


def test_a_time_range_over_views_of_several_entities_has_the_keys_of_all(store: FeatureStore) -> None:
    refs = ["stats:trips", "warmth:degrees"]
    rows = store.get_historical_features(None, refs, start_date=NOON, end_date=NOON).to_arrow().to_pylist()
    assert [(row["driver_id"], row["place_id"], row["trips"], row["degrees"]) for row in rows] == [
        (None, "JFK", None, 4.5),
        (1, None, 20, None),
    ]


def test_a_saved_dataset_is_read_back_and_never_overwritten_unasked(store: FeatureStore) -> None:
    def save(**options: Any) -> Any:
        job = store.get_historical_features(asked((1, NOON), (9, NOON)), ["stats:rate", "profile:home"], full_feature_names=True)
        return store.create_saved_dataset(job, "kept", SavedDatasetDelta("kept_rows"), **options)

    save()
    expected = {"driver_id": [1, 9], "stats__rate": [0.2, None], "profile__home": ["north", None]}
    found = store.get_saved_dataset("kept")._retrieval_job.to_arrow().sort_by("driver_id")
    assert {name: found[name].to_pylist() for name in expected} == expected
    with pytest.raises(SavedDatasetLocationAlreadyExists, match="kept_rows"):
        save()
    assert save(allow_overwrite=True).to_df().shape[0] == 2


def test_a_saved_dataset_storage_survives_the_registry() -> None:
    assert SavedDatasetStorage.from_proto(SavedDatasetDelta("t").to_proto()) == SavedDatasetDelta("t")


def test_a_dataset_is_saved_on_the_lake_alone(store: FeatureStore) -> None:
    from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

    job = store.get_historical_features(asked((1, NOON)), ["stats:rate"])
    with pytest.raises(ConfigurationError, match="SavedDatasetFileStorage"):
        job.persist(SavedDatasetFileStorage(path="x.parquet"))


def pushed(*rates: float) -> pd.DataFrame:
    moments = [NOON + DAY + n * HOUR for n in range(len(rates))]
    return pd.DataFrame({"created": moments, "trips": 1, "rate": rates, "driver_id": 3, "event_timestamp": moments})


@pytest.mark.parametrize("to", [PushMode.OFFLINE, PushMode.ONLINE_AND_OFFLINE])
def test_pushed_rows_are_read(store: FeatureStore, to: PushMode) -> None:
    store.push("stats_push", pushed(0.7, 0.8), to=to)
    moment = NOON + DAY + HOUR
    assert values(store, asked((3, NOON + DAY), (3, moment), (1, moment)), ["stats:rate"])["rate"] == [0.7, 0.8, 0.25]


def test_rows_written_twice_stand_once_and_others_beside_them(store: FeatureStore) -> None:
    lake = DeltaLake(f"{store.config.offline_store.lake}/peer")
    for rows in (pushed(0.7), pushed(0.7), pushed(0.7)[["rate", "trips", "event_timestamp", "driver_id", "created"]]):
        store.write_to_offline_store("stats", rows)
    assert lake.read("stats").num_rows == 5
    store.write_to_offline_store("stats", pushed(0.9))
    assert sorted(lake.read("stats")["rate"].to_pylist()) == [0.1, 0.2, 0.25, 0.5, 0.7, 0.9]


def test_computing_an_interval_again_keeps_rows_written_by_hand(store: FeatureStore) -> None:
    store.write_to_offline_store("stats", pushed(0.7))
    fill(DeltaLake(f"{store.config.offline_store.lake}/peer"))
    assert values(store, asked((3, NOON + DAY)), ["stats:rate"])["rate"] == [0.7]


def test_rows_of_other_columns_are_refused_and_the_columns_named(store: FeatureStore) -> None:
    with pytest.raises(ValueError, match=r"missing_expected_columns: \['trips'\]"):
        store.write_to_offline_store("stats", pushed(0.7).drop(columns="trips"))
    rows = pa.Table.from_pandas(pushed(0.7).drop(columns="trips"))
    with pytest.raises(DataError, match=r"differ from its own by \['trips'\]"):
        DeltaOfflineStore.offline_write_batch(store.config, store.get_feature_view("stats"), rows, None)


def test_pulls_give_the_latest_row_of_each_key_or_all(store: FeatureStore) -> None:
    columns = (["driver_id"], ["rate"], "event_timestamp", "created", NOON - DAY, NOON)
    pull = DeltaOfflineStore.pull_latest_from_table_or_query(store.config, stats.batch_source, *columns)
    assert sorted(pull.to_arrow()["rate"].to_pylist()) == [0.25, 0.5]
    every = DeltaOfflineStore.pull_all_from_table_or_query(store.config, stats.batch_source, *columns)
    assert sorted(every.to_arrow()["rate"].to_pylist()) == [0.1, 0.2, 0.25, 0.5]
    since = DeltaOfflineStore.pull_all_from_table_or_query(
        store.config, stats.batch_source, ["driver_id"], ["rate"], "event_timestamp", start_date=NOON
    )
    assert sorted(since.to_arrow()["rate"].to_pylist()) == [0.2, 0.25]


def test_feasts_engine_materializes_what_history_says(store: FeatureStore) -> None:
    store.materialize(NOON - 10 * DAY, NOON + DAY, feature_views=["stats", "profile", "world_wide"])
    refs = ["stats:rate", "profile:home", "world_wide:rides"]
    online = store.get_online_features(refs, [{"driver_id": 1}]).to_dict()
    assert {name: online[name] for name in ("rate", "home", "rides")} == values(store, asked((1, NOON + DAY)), refs)


def test_an_unknown_engine_is_named(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.config.offline_store, "engine", "abacus")
    with pytest.raises(ConfigurationError, match=r'"abacus" is no Spark master: .*spark://'):
        store.get_historical_features(asked((1, NOON)), ["stats:rate"])


def test_an_engine_of_the_process_is_used(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(lake: Any, view: Any, version: int | None, entities: pa.Table, moment: str) -> pa.Table:
        return pa.table({name: pa.nulls(entities.num_rows, view.types[name]) for name in view.features.values()})

    monkeypatch.setattr(store.config.offline_store, "engine", nothing)
    assert values(store, asked((1, NOON)), ["stats:rate"]) == {"rate": [None]}


def test_the_command_line_lists_and_applies_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "feature_store.yaml").write_text(
        f"""
project: peer
provider: local
registry: {tmp_path / "registry.db"}
offline_store: {{type: {DeltaOfflineStore.__module__}.DeltaOfflineStore, lake: {tmp_path / "lake"}}}
online_store: {{type: sqlite, path: {tmp_path / "online.db"}}}
entity_key_serialization_version: 3
"""
    )
    (tmp_path / "views.py").write_text(
        """
from datetime import timedelta
from feast import Entity, FeatureView, Field, ValueType
from feast.types import Float64
from everloop.adapters.features.source import DeltaSource

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
stats = FeatureView(name="stats", entities=[driver], ttl=timedelta(days=2), schema=[Field(name="rate", dtype=Float64)],
    source=DeltaSource(table="stats", sql="SELECT * FROM raw", tables=["raw"]))
"""
    )
    fill(DeltaLake(str(tmp_path / "lake" / "peer")))
    program = "from feast.cli.cli import cli; import sys\nfor line in sys.argv[1:]: cli.main(line.split(), standalone_mode=False)"
    commands = ["apply", "feature-views list", f"materialize {NOON - DAY:%Y-%m-%dT%H:%M:%S} {NOON + DAY:%Y-%m-%dT%H:%M:%S}"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", program, *commands], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "stats" in done.stdout
    assert (tmp_path / "online.db").exists()
