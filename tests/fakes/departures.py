"""Real departures of early 2013 in memory, one in eight of them: enough to train on in a second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from everloop.decide.policy import BehaviourPolicy, CostMatrix, Direction, FairnessPolicy, GatePolicy, TrainingPolicy
from everloop.demo import year
from everloop.interval import Interval
from everloop.ports import Lake
from everloop.release import RequestFunctionPlan, ViewPlan
from everloop.use_case import Examples, PostgresTable, SourceTable, UseCase
from fakes.checks import MemoryChecks, Rule
from fakes.features import MemoryFeatures, MemoryView
from fakes.lake import MemoryLake

START = datetime(2013, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)

FLIGHTS = SourceTable(
    name="flights",
    source=PostgresTable(connection="airline", table="flights"),
    columns={
        "carrier": "string",
        "flight": "int",
        "origin": "string",
        "dest": "string",
        "scheduled_departure": "timestamp",
        "distance": "float",
        "arrival_delay": "float",
        "closed_at": "timestamp",
    },
    key=("carrier", "flight", "origin", "scheduled_departure"),
    event_time="closed_at",
    suite="flights",
)

DEPARTURES = UseCase(
    name="departures",
    description="Will a flight out of New York arrive late or be cancelled?",
    start=START,
    interval=WEEK,
    sources=(FLIGHTS,),
    examples=Examples(
        tables=("flights",),
        suite="training_set",
        sql="""
            SELECT carrier || '-' || flight || '-' || origin || '-' || epoch(scheduled_departure)::BIGINT AS key,
                carrier, flight, origin, dest, scheduled_departure, distance,
                scheduled_departure - INTERVAL 2 HOUR AS event_timestamp,
                arrival_delay IS NULL OR arrival_delay >= 15 AS label, closed_at AS label_time
            FROM flights WHERE closed_at >= $start AND closed_at < $end
        """,
    ),
    feature_service="departures",
    entity=("carrier", "flight", "origin"),
    categories=("carrier", "dest"),
    slices={"origin": "origin", "distance": "CASE WHEN distance < 1000 THEN 'short' ELSE 'long' END"},
    cost=CostMatrix(false_positive=1, false_negative=3),
    training=TrainingPolicy(rounds=40, parameters={"max_depth": 4, "learning_rate": 0.15}, tuning_rounds=5, minimum_rows=1_000),
    gate=GatePolicy(
        minimum_rows=300,
        auc_floor=0.44,
        ece_ceiling=0.4,
        cost_margin=0.2,
        auc_margin=0.04,
        slice_margin=0.3,
        slice_minimum=50,
        behaviour=BehaviourPolicy(
            tests=(Direction(column="schedule__minute", step=60, tolerance=0.05, share=0.2),), noise_decisions=0.3
        ),
    ),
    fairness=FairnessPolicy(columns=("origin",), minimum=50, error_rate_difference=0.9),
)

ORIGIN_RATE = """
    SELECT origin, avg((arrival_delay IS NULL OR arrival_delay >= 15)::INT) AS rate_7d, $end AS event_timestamp, $end AS created
    FROM flights WHERE closed_at >= $end - INTERVAL 7 DAY AND closed_at < $end GROUP BY origin
"""

FUNCTIONS = '''"""Request-time features."""


def schedule(inputs):
    moments = inputs["scheduled_departure"]
    return {"minute": [m.hour * 60 + m.minute for m in moments], "distance": list(inputs["distance"])}
'''

SUITES = {
    "flights": [Rule("not_negative", "distance", "quarantine", lambda value: value >= 0)],
    "training_set": [
        Rule("not_negative", "distance", "quarantine", lambda value: value >= 0),
        Rule("is_an_airport_of_new_york", "origin", "block", lambda value: value in {"EWR", "JFK", "LGA"}),
        Rule("is_not_honolulu", "dest", "warn", lambda value: value != "HNL"),
    ],
}


def checks() -> MemoryChecks:
    return MemoryChecks(SUITES)


def filled(weeks: int, *extra: pa.Table) -> tuple[MemoryLake, MemoryFeatures]:
    """A lake with the first weeks of 2013, `extra` flights added to the first week, and the features computed from it."""
    lake = MemoryLake()
    return lake, filled_into(lake, weeks, *extra)


def filled_into(lake: Lake, weeks: int, *extra: pa.Table) -> MemoryFeatures:
    """The same, in a lake of any kind."""
    view = ViewPlan(
        name="origin_delay",
        table="online.departures_origin_delay",
        join_keys={"origin": "string"},
        features={"rate_7d": "float"},
        ttl_seconds=15 * 86400.0,
    )
    schedule = RequestFunctionPlan(
        name="schedule",
        function="schedule",
        inputs={"scheduled_departure": "timestamp", "distance": "float"},
        features={"minute": "int", "distance": "float"},
    )
    features = MemoryFeatures(
        DEPARTURES, lake, [MemoryView(plan=view, sql=ORIGIN_RATE, tables=("flights",))], functions=[schedule], source=FUNCTIONS
    )
    features.apply()
    for week in range(weeks):
        interval = Interval(START + week * WEEK, START + (week + 1) * WEEK)
        lake.replace("flights", pa.concat_tables([closed(interval), *(extra if week == 0 else ())]), interval)
        features.compute(interval)
    return features


def closed(interval: Interval) -> pa.Table:
    """One in eight of the flights whose outcome was final in `interval`."""
    rows = year.flights(interval.start, interval.end, by="closed_at")
    return rows.filter(pc.equal(pc.bit_wise_and(rows["flight"], 7), 3)).select(list(FLIGHTS.columns))
