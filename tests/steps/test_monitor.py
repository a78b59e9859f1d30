import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from everloop.decide.policy import CostMatrix, DriftPolicy, FairnessPolicy, GatePolicy, RetrainPolicy, ServicePolicy
from everloop.decide.release.state import ReleaseState, Stage
from everloop.decide.watch import concept, performance
from everloop.decide.watch.shift import compare
from everloop.decide.watch.sketch import merge
from everloop.errors import ReleaseError
from everloop.interval import Interval
from everloop.learn.history import History
from everloop.learn.reference import Blocks, describe
from everloop.ports import Account, Decision, Measurement
from everloop.release import Bundle, Calibrator, FeaturePlan, Manifest, sha256
from everloop.steps import monitor
from everloop.use_case import DroppedFiles, Examples, SourceTable, UseCase
from fakes.accounts import InMemoryAccounts
from fakes.lake import MemoryLake
from fakes.ledger import InMemoryLedger
from fakes.measurements import InMemoryMeasurements
from fakes.traffic import InMemoryTraffic, prediction

T0 = datetime(2013, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = [Interval(T0 + i * DAY, T0 + (i + 1) * DAY) for i in range(6)]
NOW = datetime(2026, 1, 1, tzinfo=UTC)

USE_CASE = UseCase(
    name="loans",
    description="Who pays back?",
    start=T0,
    interval=DAY,
    sources=(
        SourceTable(
            name="loans",
            source=DroppedFiles(pattern="%Y-%m-%d.csv"),
            columns={"id": "string", "asked": "timestamp", "closed": "timestamp", "late": "bool"},
            key=("id",),
            event_time="closed",
            suite="loans",
        ),
    ),
    examples=Examples(
        sql="SELECT id AS key, late AS label, closed AS label_time, asked AS event_timestamp FROM loans "
        "WHERE closed >= $start AND closed < $end",
        tables=("loans",),
        suite="training_set",
    ),
    feature_service="loans",
    entity=("id",),
    cost=CostMatrix(false_positive=1, false_negative=3),
    drift=DriftPolicy(share=0.5, minimum_rows=100),
    fairness=FairnessPolicy(columns=("bank",), minimum=50, selection_difference=0.1),
    service=ServicePolicy(latency_ms=50, error_rate=0.01, burst_seconds=1),
    retrain=RetrainPolicy(k=2, n=3, cooldown=timedelta(days=2)),
)


class Releases:
    """The two releases of these tests, as `ports.Registry.get` gives them."""

    def __init__(self):
        self.bundles = {"old": bundle(0), "new": bundle(1)}

    def get(self, release):
        if release not in self.bundles:
            raise ReleaseError(f"{release} is absent")
        return self.bundles[release]


def features(rng, rows, shift=0.0):
    income = rng.normal(shift, 1, rows)
    return income, 1 / (1 + np.exp(1.1 - 1.2 * (income - shift)))


def bundle(seed):
    rng = np.random.default_rng(seed)
    income, chance = features(rng, 5000)
    labels = rng.random(5000) < chance
    learnt = pa.table({"income": income, "bank": rng.choice(["A", "B"], 5000)})
    days = np.arange(5000) // 100
    blocks = Blocks(days, days, performance.alike(labels, chance, chance >= 0.25, USE_CASE.cost, days))
    metrics = {"auc": 0.77, "cost": 0.55}
    content = json.dumps(
        describe(learnt, ["income", "bank"], {"bank": ("A", "B")}, labels, labels, chance, metrics, blocks=blocks)
    ).encode()
    manifest = Manifest(
        use_case="loans", columns=("income", "bank"), categories={"bank": ("A", "B")}, calibrator=Calibrator(x=(0, 1), y=(0, 1)),
        threshold=0.25, plan=FeaturePlan(service="loans", request={"bank": "string"}, views=()), entity=("id",),
        service=ServicePolicy(), request_suite="loans", shadow_share=1.0, snapshot={}, trained_from=T0 - 90 * DAY,
        trained_through=T0 - 30 * DAY, parameters={}, metrics={}, lineage={}, files={"reference.json": sha256(content)},
    )  # fmt: skip
    return Bundle(manifest, {"reference.json": content})


class World:
    """A lake, a prediction log, measurements and a ledger in memory, with `old` as champion."""

    def __init__(self):
        self.lake, self.traffic, self.measurements, self.ledger = (
            MemoryLake(),
            InMemoryTraffic(),
            InMemoryMeasurements(),
            InMemoryLedger(),
        )
        self.registry = Releases()
        self.become(ReleaseState(champion="old", since=NOW))

    def become(self, state):
        seq, _ = self.ledger.head("loans")
        decision = Decision(actor="test", action="promoted", subject="old", after=state, reason="set up")
        self.ledger.append("loans", decision, expected=seq, at=NOW)

    def serve(self, day, rows=400, shift=0.0, closes_after=timedelta(hours=1), flip=False, bank="AB", **changes):
        """Serve `rows` loans on `day` and publish what became of them."""
        rng = np.random.default_rng(day)
        income, chance = features(rng, rows, shift)
        late = rng.random(rows) < (1 - chance if flip else chance)
        asked = [DAYS[day].start + timedelta(seconds=i) for i in range(rows)]
        ids = [f"{day}-{i}" for i in range(rows)]
        self.traffic.log(
            "loans",
            [
                prediction(
                    ids[i], release="old", as_of=asked[i], at=NOW + timedelta(seconds=i),
                    features=json.dumps({"request": {"bank": bank[i % len(bank)]}, "vector": {"income": income[i]}}),
                    **{"score": float(chance[i]), "entity": ids[i]}
                    | {name: value(i, chance[i]) for name, value in changes.items()},
                )
                for i in range(rows)
            ],
        )  # fmt: skip
        closed = [moment + closes_after for moment in asked]
        self.publish(DAYS[day] if closes_after < DAY else DAYS[day + 1], ids, asked, closed, late)

    def publish(self, interval, ids=(), asked=(), closed=(), late=()):
        moment = pa.timestamp("us", "UTC")
        columns = {
            "id": pa.array(ids, pa.string()),
            "asked": pa.array(asked, moment),
            "closed": pa.array(closed, moment),
            "late": pa.array(list(late), pa.bool_()),
        }
        self.lake.replace("loans", pa.table(columns), interval)

    def run(self, *days, **options):
        """One monitor run, task by task."""
        intervals = [DAYS[day] for day in days]
        monitor.outcomes(self.lake, self.traffic, USE_CASE, intervals)
        for measure in (monitor.drift, monitor.performance, monitor.estimate, monitor.service):
            measure(self.traffic, self.registry, self.measurements, USE_CASE, intervals)
        self.fairness(intervals)
        return monitor.decide(self.measurements, self.ledger, USE_CASE, intervals, now=NOW, **options)

    def fairness(self, intervals, use_case=USE_CASE):
        return monitor.fairness(self.lake, self.traffic, self.registry, self.measurements, use_case, intervals)

    def found(self, kind, subject="window", release="old"):
        return [m for m in self.measurements.read("loans", kind=kind, release=release) if m.subject == subject]

    def verdicts(self, kind, subject="window", release="old"):
        return [m.verdict for m in self.found(kind, subject, release)]


@pytest.fixture
def world():
    return World()


def test_pending_are_the_published_intervals_from_the_cursor_to_the_first_gap(world):
    for day in (0, 1, 3):
        world.publish(DAYS[day])
    assert monitor.pending(world.measurements, world.lake, USE_CASE) == DAYS[:2]
    world.measurements.advance("loans", "monitor", DAYS[0].end)
    assert monitor.pending(world.measurements, world.lake, USE_CASE) == [DAYS[1]]
    world.measurements.advance("loans", "monitor", DAYS[1].end)
    assert monitor.pending(world.measurements, world.lake, USE_CASE) == []
    world.publish(DAYS[2])
    assert monitor.pending(world.measurements, world.lake, USE_CASE) == DAYS[2:4]


def test_nothing_is_pending_in_an_empty_lake(world):
    assert monitor.pending(world.measurements, world.lake, USE_CASE) == []


def test_outcomes_reach_rows_that_were_predicted_in_an_earlier_interval(world):
    world.serve(0, closes_after=timedelta(hours=30))
    assert monitor.outcomes(world.lake, world.traffic, USE_CASE, [DAYS[1]]) == {"known": 400, "recorded": 400}
    assert world.traffic.keys_without_outcome("loans", DAYS[0]) == []
    assert monitor.outcomes(world.lake, world.traffic, USE_CASE, [DAYS[1]])["recorded"] == 0


def test_outcomes_of_rows_that_nobody_asked_about_are_not_recorded(world):
    world.publish(DAYS[0], ["x"], [T0], [T0 + timedelta(hours=1)], [True])
    assert monitor.outcomes(world.lake, world.traffic, USE_CASE, [DAYS[0]]) == {"known": 1, "recorded": 0}


def test_a_healthy_day_passes_and_asks_for_nothing(world):
    world.serve(0, rows=4000)
    decision = world.run(0)
    assert not decision["retrain"]
    assert world.verdicts("drift") == world.verdicts("performance") == world.verdicts("estimate") == ["pass"]
    assert world.verdicts("drift", "income") == world.verdicts("drift", "score") == ["pass"]
    assert world.found("performance", "auc")[0].value == pytest.approx(0.77, abs=0.05)
    assert world.verdicts("service", "error_rate") == world.verdicts("service", "latency_p99") == ["pass"]
    assert world.verdicts("fairness", "bank") == ["pass"]
    assert world.verdicts("concept") == world.verdicts("concept", "bias") == world.verdicts("concept", "error") == ["pass"]
    assert world.verdicts("drift", "label") == ["pass"]
    assert {"auc", "cost", "precision", "recall", "f1"} <= {
        m.subject for m in world.measurements.read("loans", kind="performance")
    }


def test_measuring_twice_leaves_the_same_rows(world):
    world.serve(0)
    world.run(0)
    once = world.measurements.read("loans")
    world.run(0)
    assert world.measurements.read("loans") == once


def test_two_days_of_drift_ask_once_and_move_the_cursor(world):
    world.serve(0, shift=2.0)
    world.serve(1, shift=2.0)
    assert not world.run(0)["retrain"]
    answer = world.run(1)
    assert answer["retrain"]
    assert "drift in 2 of the last 2 windows" in answer["reason"]
    assert "income" in answer["reason"]
    assert world.measurements.cursor("loans", "monitor") == DAYS[1].end
    (wanted,) = world.ledger.entries("loans", action="retrain_wanted")
    assert (wanted.subject, wanted.evidence["triggers"], wanted.seq) == ("old", ["drift"], answer["row"])
    assert [window["end"] for window in wanted.evidence["windows"]] == [DAYS[0].end.isoformat(), DAYS[1].end.isoformat()]
    measures = wanted.evidence["windows"][0]["measures"]
    assert (measures["drift"]["verdict"], measures["performance"]["labels"]) == ("fail", 400)
    assert all(measured["reasons"] for measured in measures.values())
    assert wanted.evidence["policy"]["k"] == 2


def test_asked_again_for_the_same_window_it_says_yes_again_and_writes_nothing(world):
    for day in (0, 1):
        world.serve(day, shift=2.0)
    world.run(0, 1)
    again = world.run(0, 1)
    assert again["retrain"]
    assert "asked already" in again["reason"]
    assert again["row"] == world.ledger.entries("loans", action="retrain_wanted")[0].seq
    assert len(world.ledger.entries("loans", action="retrain_wanted")) == 1


def test_after_a_request_k_new_violations_are_needed(world):
    for day in range(4):
        world.serve(day, shift=2.0)
    assert [world.run(day)["retrain"] for day in range(4)] == [False, True, False, True]


def test_wrong_rankings_violate_on_performance(world):
    for day in (0, 1):
        world.serve(day, rows=1200, flip=True)
    assert "performance in 2" in world.run(0, 1)["reason"]
    assert world.verdicts("drift") == ["pass", "pass"]


def test_a_relation_that_moved_is_told_from_inputs_that_moved(world):
    world.serve(0, rows=1200, flip=True)
    world.serve(1, rows=4000, shift=2.0)
    world.run(0)
    world.run(1)
    assert world.verdicts("drift") == ["pass", "fail"]
    assert world.verdicts("concept") == ["fail", "inconclusive"]
    assert world.verdicts("concept", "bias")[1] == "pass"
    assert "labels and scores lie apart by" in world.found("concept")[0].detail["because"]


def test_an_estimate_is_believed_until_the_latest_labels_leave_the_scores(world):
    world.serve(0, rows=4000)
    world.serve(1, rows=1200, flip=True)
    world.serve(2, rows=400, closes_after=timedelta(hours=30))
    for day in (0, 1, 2):
        world.run(day)
    assert world.verdicts("estimate") == ["pass", "inconclusive", "inconclusive"]
    assert "labels and scores lie apart by" in world.found("estimate")[2].detail["because"]
    assert world.found("performance")[2].detail["labels"] == 0


def test_without_labels_an_estimate_rests_on_the_release_own_held_out_rows(world):
    world.serve(0, rows=4000, closes_after=timedelta(hours=30))
    world.run(0)
    assert world.verdicts("concept") == ["inconclusive"]
    assert world.verdicts("estimate") == ["pass"]


@pytest.mark.parametrize(
    ("served", "told"),
    [
        ({"shift": 2.0}, "columns moved"),
        ({"score": lambda i, p: 0.999 if i % 50 == 0 else float(p)}, "where calibration was checked"),
        ({"bank": "C"}, "values that the model does not know: bank 100%"),
    ],
)
def test_an_estimate_of_another_world_is_inconclusive_and_says_why(world, served, told):
    world.serve(0, rows=1200, **served)
    world.run(0)
    assert world.verdicts("estimate") == ["inconclusive"]
    assert told in world.found("estimate")[0].detail["because"]


def test_a_release_from_before_held_out_residuals_were_kept_is_not_believed_without_labels(world):
    old = world.registry.bundles["old"]
    reference = json.loads(old.files["reference.json"])
    for name in ("range", "residuals"):
        del reference["score"][name]
    world.registry.bundles["old"] = Bundle(old.manifest, {"reference.json": json.dumps(reference).encode()})
    world.serve(0, closes_after=timedelta(hours=30))
    world.run(0)
    assert world.verdicts("estimate") == ["inconclusive"]
    assert "the release does not say" in world.found("estimate")[0].detail["because"]


def daily(moves):
    """A reference whose 40 days have each another mean of `income`, `moves` apart: the fitted ones, and 16 later."""
    rng = np.random.default_rng(3)
    asked = np.datetime64("2020-01-01", "us") + np.arange(40 * 200) * np.timedelta64(432, "s")
    income, chance = features(rng, 8_000, np.repeat(rng.normal(0, moves, 40), 200))
    labels = rng.random(8_000) < chance
    past = History(width=DAY, asked=asked[:6_000], scored=((asked[:4_800], chance[:4_800]), (asked[4_800:], chance[4_800:])))
    rows = pa.table({"income": income[:6_000], "bank": rng.choice(["A", "B"], 6_000)})
    held_out = (labels[6_000:], chance[6_000:], {"auc": 0.77, "cost": 0.55})
    return describe(rows, ["income", "bank"], {"bank": ("A", "B")}, labels[:6_000], *held_out, history=past)


@pytest.mark.parametrize(("moves", "verdict"), [(1.0, "pass"), (0.05, "fail")])
def test_an_input_that_moved_as_from_day_to_day_before_has_not_drifted(world, moves, verdict):
    old = world.registry.bundles["old"]
    reference = daily(moves)
    world.registry.bundles["old"] = Bundle(old.manifest, {"reference.json": json.dumps(reference).encode()})
    world.serve(0, shift=1.0)
    world.run(0)
    (found,) = world.found("drift", "income")
    assert (found.verdict, found.detail["psi"] > 0.5) == (verdict, True)
    assert ("psi" in found.detail["beyond"]) == (verdict == "fail")
    shift = compare(reference["columns"]["income"], found.detail["counts"], DAYS[0], 100)
    assert found.detail["ordinary"] == pytest.approx(shift.usual(USE_CASE.drift, 0.0125))
    assert len(found.detail["ordinary"]) == 4
    (score,) = world.found("drift", "score")
    assert set(score.detail["ordinary"]) == {"psi", "wasserstein"}
    assert "days of the training period" in world.found("drift")[0].detail["because"]


def test_more_positive_labels_than_were_learnt_from_are_a_drift_of_the_label(world):
    world.serve(0, rows=1200, flip=True)
    world.run(0)
    (measured,) = world.found("drift", "label")
    assert (measured.verdict, measured.value > 0.5) == ("fail", True)


def test_windows_that_were_measured_merge_without_their_rows(world):
    """What the rows of two days give together, from what was written of each."""
    world.serve(0)
    world.serve(1, rows=700)
    world.run(0, 1)
    sketches = [m.detail["residuals"] for m in world.found("concept")]
    counts = [m.detail["counts"] for m in world.found("drift", "income")]
    assert sum(concept.merge(*sketches)["rows"]) == 1100
    assert sum(merge(*counts)["counts"]) == 1100


def test_labels_that_ripen_later_show_the_relation_when_they_come(world):
    world.serve(0, rows=1200, flip=True, closes_after=timedelta(hours=30))
    world.publish(DAYS[0])
    world.run(0)
    assert world.verdicts("concept") == ["inconclusive"]
    world.run(1)
    assert world.verdicts("concept") == ["fail"]


@pytest.mark.parametrize(("on_estimate", "performance"), [(True, "inconclusive"), (False, "inconclusive"), (True, "pass")])
def test_an_estimate_that_fails_asks_where_the_policy_says_so_and_outcomes_have_not_decided(world, on_estimate, performance):
    case = replace(USE_CASE, retrain=replace(USE_CASE.retrain, on_estimate=on_estimate))
    detail = {"because": "cost rose", "labels": 0, "trained_through": (T0 - 30 * DAY).isoformat()}
    verdicts = {"drift": "pass", "performance": performance, "estimate": "fail"}
    for day in (0, 1):
        told = [
            Measurement(interval=DAYS[day], release="old", kind=kind, subject="window", value=0.5, verdict=found, detail=detail)
            for kind, found in verdicts.items()
        ]
        world.measurements.write("loans", told)
    answer = monitor.decide(world.measurements, world.ledger, case, [DAYS[1]], now=NOW)
    assert answer["retrain"] is (on_estimate and performance == "inconclusive")
    if answer["retrain"]:
        assert answer["reason"].startswith("estimate in 2 of the last 2 windows, the latest too: estimate until 2013-04-02")
        assert "(cost rose)" in answer["reason"]


def test_by_schedule_the_champion_is_replaced_though_nothing_was_served(world):
    case = replace(USE_CASE, retrain=RetrainPolicy(every=40 * DAY))

    def answer(day):
        return monitor.decide(world.measurements, world.ledger, case, [DAYS[day]], now=NOW)

    assert not answer(0)["retrain"]
    evidence = {"run": "first", "trained_through": (T0 - 38 * DAY).isoformat()}
    registered = Decision(
        actor="everloop", action="registered", subject="old", after=ReleaseState(champion="old"), reason="-", evidence=evidence
    )
    world.ledger.append("loans", registered, expected=1, at=NOW)
    assert [answer(day)["retrain"] for day in (0, 1, 2)] == [False, True, False]
    assert world.ledger.entries("loans")[-1].evidence["triggers"] == ["schedule"]
    # What was asked for serves: it has learnt through what is just as old, and another is not asked for at once.
    promoted = Decision(
        actor="everloop", action="registered", subject="new", after=ReleaseState(champion="new"), reason="-", evidence=evidence
    )
    world.ledger.append("loans", promoted, expected=3, at=NOW)
    assert not answer(2)["retrain"]


def test_labels_that_ripen_later_are_measured_when_they_come(world):
    world.serve(0, rows=4000, closes_after=timedelta(hours=30))
    world.publish(DAYS[0])
    world.run(0)
    assert world.found("performance")[0].detail["unlabelled"] == 4000
    world.run(1)
    assert world.found("performance")[0].detail["labels"] == 4000
    assert world.verdicts("performance") == ["pass"]


def test_a_corrected_label_of_an_old_interval_is_recorded_and_measured_again(world):
    world.serve(0)
    world.run(0)
    before = world.found("performance")[0].value
    rows = world.lake.read("loans", interval=DAYS[0]).to_pylist()
    flipped = [*({**row, "late": not row["late"]} for row in rows[:40]), *rows[40:]]
    world.publish(DAYS[0], *([row[name] for row in flipped] for name in ("id", "asked", "closed", "late")))
    answer = monitor.outcomes(world.lake, world.traffic, USE_CASE, [], [DAYS[0]], DAYS[1].end)
    assert answer == {"known": 400, "recorded": 40}
    assert monitor.outcomes(world.lake, world.traffic, USE_CASE, [], [DAYS[0]], DAYS[1].end)["recorded"] == 0
    known = dict(zip(*(world.traffic.served("loans", DAYS[0])[name].to_pylist() for name in ("key", "known_at")), strict=True))
    assert [known["0-0"], known["0-399"]] == [DAYS[1].end, DAYS[0].start + timedelta(seconds=399, hours=1)]
    world.serve(1)
    world.run(1)
    assert world.found("performance")[0].value != before
    assert len(world.found("performance")) == 2


def test_a_label_that_arrived_late_in_an_old_interval_is_recorded_and_measured_again(world):
    world.serve(0)
    rows = world.lake.read("loans", interval=DAYS[0]).to_pylist()
    world.publish(DAYS[0], *([row[name] for row in rows[:300]] for name in ("id", "asked", "closed", "late")))
    world.run(0)
    assert world.found("performance")[0].detail["unlabelled"] == 100
    world.publish(DAYS[0], *([row[name] for row in rows] for name in ("id", "asked", "closed", "late")))
    assert monitor.outcomes(world.lake, world.traffic, USE_CASE, [], [DAYS[0]], DAYS[1].end)["recorded"] == 100
    world.serve(1)
    world.run(1)
    assert world.found("performance")[0].detail["unlabelled"] == 0


def test_an_interval_that_no_label_changed_is_not_measured_again(world):
    world.serve(0)
    world.run(0)
    world.serve(1)
    world.measurements.advance("loans", "monitor:ripened", datetime.now(UTC) + DAY)
    measured = world.found("performance")[0]
    again = replace(measured, detail=measured.detail | {"as": "it was"})
    world.measurements.write("loans", [again])
    world.run(1)
    assert world.found("performance")[0] == again


def test_reworked_are_the_monitored_intervals_that_were_ingested_again(world):
    accounts = InMemoryAccounts()
    account = Account(table="loans", interval=DAYS[0], rows_in=1, published=1, quarantined=0, repaired=0, run="r", at=NOW)
    accounts.record("loans", [account, replace(account, interval=DAYS[1])])
    assert monitor.reworked(accounts, world.measurements, USE_CASE) == []
    world.measurements.advance("loans", "monitor", DAYS[0].end)
    world.measurements.advance("loans", monitor.REWORKED, datetime.now(UTC))
    assert monitor.reworked(accounts, world.measurements, USE_CASE) == [DAYS[0]]
    world.measurements.advance("loans", monitor.REWORKED, datetime.now(UTC) + DAY)
    assert monitor.reworked(accounts, world.measurements, USE_CASE) == []


def test_both_arms_are_compared_on_the_same_labelled_rows(world):
    worse = {"shadow_release": lambda i, p: "new", "shadow_score": lambda i, p: 0.9 - 0.8 * p}
    world.serve(0, rows=800, **worse)
    monitor.outcomes(world.lake, world.traffic, USE_CASE, [DAYS[0]])
    by_minute = replace(USE_CASE, gate=GatePolicy(block=timedelta(minutes=1)))
    for use_case, verdict, blocks in ((by_minute, "fail", 14), (USE_CASE, "inconclusive", 1)):
        monitor.performance(world.traffic, world.registry, world.measurements, use_case, [DAYS[0]])
        assert world.verdicts("performance", "paired_cost", "new") == [verdict]
        assert world.found("performance", "paired_auc", "new")[0].value < -0.3
        cost = world.found("performance", "paired_cost", "new")[0].detail
        assert (cost["against"], cost["rows"], cost["units"]) == ("old", 800, blocks)


def test_a_release_is_measured_by_its_shadow_scores_too(world):
    both = {"release": lambda i, p: "old" if i % 2 else "new", "arm": lambda i, p: "champion" if i % 2 else "challenger"}
    shadow = {"shadow_release": lambda i, p: "new" if i % 2 else "old", "shadow_score": lambda i, p: float(p)}
    rows = both | shadow
    rng = np.random.default_rng(0)
    world.traffic.log(
        "loans",
        [
            prediction(
                str(i), as_of=T0, score=float(p), **{name: value(i, p) for name, value in rows.items()},
                features=json.dumps({"request": {"bank": "A"}, "vector": {"income": 0.0}}),
            )
            for i, p in enumerate(rng.random(300))
        ],
    )  # fmt: skip
    monitor.drift(world.traffic, world.registry, world.measurements, USE_CASE, [DAYS[0]])
    assert world.found("drift")[0].detail["rows"] == 300
    assert world.found("drift", release="new") == []


def test_errors_and_slow_answers_fail_the_service_levels(world):
    world.serve(0, error=lambda i, p: "boom" if i % 10 == 0 else None, latency_ms=lambda i, p: 500.0 if i % 20 == 0 else 2.0)
    world.run(0)
    assert world.verdicts("service", "error_rate") == world.verdicts("service", "latency_p99") == ["fail"]


def test_no_traffic_measures_nothing_and_says_so(world):
    world.publish(DAYS[0])
    drift = monitor.drift(world.traffic, world.registry, world.measurements, USE_CASE, [DAYS[0]])
    assert drift == {"measurements": 0, "failed": [], "reason": "nothing was served in these intervals: nothing to measure"}
    decision = world.run(0)
    assert (decision["retrain"], decision["reason"]) == (False, "no window has been measured for the champion")
    assert world.measurements.cursor("loans", "monitor") == DAYS[0].end


def test_without_a_champion_nothing_is_asked(world):
    world.become(ReleaseState())
    world.serve(0)
    assert "no release serves yet" in world.run(0)["reason"]


@pytest.mark.parametrize("stage", [Stage.CHECK, Stage.SHADOW, Stage.CANARY, Stage.PAUSED])
def test_while_a_release_is_on_trial_its_rollout_decides_first(world, stage):
    for day in (0, 1):
        world.serve(day, shift=2.0)
    world.become(ReleaseState(champion="old", challenger="new", rollout="r", stage=stage, since=NOW))
    assert f"new is on trial (stage {stage})" in world.run(0, 1)["reason"]


def test_a_release_that_is_only_watched_holds_no_retraining_up(world):
    for day in (0, 1):
        world.serve(day, shift=2.0)
    world.become(ReleaseState(champion="old", previous="older", rollout="r", stage=Stage.WATCH, since=NOW))
    assert world.run(0, 1)["retrain"]


def test_a_backfill_measures_and_asks_for_nothing(world):
    for day in (0, 1):
        world.serve(day, shift=2.0)
    assert not world.run(0, 1, backfill=True)["retrain"]
    assert world.verdicts("drift") == ["fail", "fail"]
    assert world.measurements.cursor("loans", "monitor") == DAYS[1].end


def test_within_the_cooldown_drift_asks_for_nothing(world):
    recent = world.registry.bundles["old"]
    world.registry.bundles["old"] = Bundle(replace(recent.manifest, trained_through=T0 + DAY / 2), recent.files)
    for day in (0, 1):
        world.serve(day, shift=2.0)
    assert "cooling down" in world.run(0, 1)["reason"]


def test_answers_travel_as_json(world):
    world.serve(0, shift=2.0)
    world.serve(1, shift=2.0)
    json.dumps(world.run(0, 1), allow_nan=False)
    json.dumps(monitor.outcomes(world.lake, world.traffic, USE_CASE, DAYS[:2]), allow_nan=False)
    measures = (monitor.drift, monitor.performance, monitor.estimate, monitor.service)
    for measure in measures:
        json.dumps(measure(world.traffic, world.registry, world.measurements, USE_CASE, DAYS[:2]), allow_nan=False)
    json.dumps(world.fairness(DAYS[:2]), allow_nan=False)


class Counting(InMemoryMeasurements):
    """Counts the rows that were handed out."""

    def __init__(self):
        super().__init__()
        self.handed_out = 0

    def read(self, use_case, **asked):
        found = super().read(use_case, **asked)
        self.handed_out += len(found)
        return found


@pytest.mark.parametrize("history", [5, 200])
def test_deciding_reads_the_windows_that_the_policy_looks_at_however_many_there_are(history):
    world = World()
    world.measurements = Counting()
    days = [Interval(T0 + i * DAY, T0 + (i + 1) * DAY) for i in range(history)]
    detail = {"because": "income moved", "labels": 400, "trained_through": (T0 - 30 * DAY).isoformat()}
    for day in days:
        told = [
            Measurement(interval=day, release="old", kind=kind, subject=subject, value=0.5, verdict="fail", detail=detail)
            for kind in ("drift", "performance")
            for subject in ("window", "income")
        ]
        world.measurements.write("loans", told)
    decision = monitor.decide(world.measurements, world.ledger, USE_CASE, days[-1:], now=NOW)
    assert decision["retrain"]
    assert world.measurements.handed_out == 2 * USE_CASE.retrain.n


def test_a_window_that_is_decided_again_does_not_look_at_later_ones():
    world = World()
    for day in range(4):
        world.serve(day, shift=2.0 if day == 3 else 0.0)
        world.run(day)
    assert monitor.decide(world.measurements, world.ledger, USE_CASE, [DAYS[1]], now=NOW)["reason"].startswith("0 of the last 2")
