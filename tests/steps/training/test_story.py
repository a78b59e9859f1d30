"""Evaluate, register and gate on models that were really trained."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from everloop.decide.policy import BehaviourPolicy, FairnessPolicy, Invariance
from everloop.errors import ConfigurationError, DataError
from everloop.learn.scoring import score
from everloop.steps import training
from everloop.steps.training.lineage import lineage
from everloop.steps.training.staging import staged_examples, staged_files
from fakes.scorer import InMemoryScorer
from steps.training.conftest import COMMIT, Story, World


def test_the_first_release_is_judged_alone(story: Story) -> None:
    evaluation, _ = story.first
    assert evaluation["champion"] is None
    assert evaluation["metrics"]["auc"] > 0.55
    assert evaluation["evidence"]["comparison"] is None


def test_candidate_and_champion_meet_on_rows_later_than_what_either_learnt_from(story: Story) -> None:
    evaluation, registered = story.second
    champion = story.world.registry.get(story.first[1]["release"]).manifest
    candidate = story.world.registry.get(registered["release"]).manifest
    assert evaluation["champion"] == story.first[1]["release"]
    assert evaluation["evidence"]["champion"]["trained_through"] == champion.trained_through.isoformat().replace("+00:00", "Z")
    assert candidate.trained_through > champion.trained_through
    assert evaluation["evidence"]["comparison"]["rows"] == evaluation["metrics"]["rows"]


def test_a_champion_that_reaches_into_the_held_out_rows_is_met_only_after_them(story: Story) -> None:
    world = story.world
    ledger = type(world.ledger)()
    ahead = replace(world, ledger=ledger)
    ahead.crown(story.second[1]["release"])
    found = training.evaluate(world.lake, world.registry, ledger, world.use_case, "second")
    champion = world.registry.get(story.second[1]["release"]).manifest
    rows = staged_examples(world.lake, "second")
    times = np.array(rows.filter(np.array(rows["part"].to_pylist()) == "holdout")["event_timestamp"].to_pylist())
    assert found["evidence"]["comparison"]["rows"] == int((times > champion.trained_through).sum())


def test_a_champion_that_cannot_be_scored_on_these_rows_is_an_error_and_no_pass(story: Story) -> None:
    world = story.world
    old = world.registry.get(story.first[1]["release"])
    lost = type(old)(replace(old.manifest, columns=("gone", *old.manifest.columns[1:])), old.files)
    other = replace(world, ledger=type(world.ledger)(), registry=type(world.registry)(lost))
    other.crown(lost.id)
    found = training.evaluate(world.lake, other.registry, other.ledger, world.use_case, "second")
    assert "gone" in found["evidence"]["problem"]
    other.registry.put(world.registry.get(story.second[1]["release"]))
    other.registry.record(world.registry.get(story.second[1]["release"]), {}, {}, "")
    verdict = other.gate(found, story.second[1]["release"])
    assert (verdict["outcome"], verdict["passed"]) == ("error", False)


def test_the_release_holds_all_that_serving_needs(story: Story) -> None:
    world, (_, registered) = story.world, story.second
    bundle = world.registry.get(registered["release"])
    assert set(bundle.files) == {
        "model.ubj", "reference.json", "request_functions.py", "suites/flights.json", "suites/training_set.json",
    }  # fmt: skip
    manifest = bundle.manifest
    assert manifest.columns == ("carrier", "dest", "origin_delay__rate_7d", "schedule__minute", "schedule__distance")
    assert set(manifest.snapshot) == {"flights", "origin_delay"}
    assert (manifest.threshold, manifest.request_suite, manifest.lineage["drill"]) == (0.25, "training_set", "false")
    rows = staged_examples(world.lake, "second")
    scores = score(bundle, rows)["score"].to_numpy()
    assert 0 < scores.min() < 0.25 < scores.max() < 1


def test_the_reference_is_of_the_rows_learnt_from(story: Story) -> None:
    bundle = story.world.registry.get(story.second[1]["release"])
    reference = json.loads(bundle.files["reference.json"])
    parts = staged_examples(story.world.lake, "second")["part"].to_pylist()
    assert reference["rows"] == sum(part not in ("holdout", "purged") for part in parts)
    assert list(reference["columns"]) == list(bundle.manifest.columns)
    assert sum(reference["score"]["counts"]) == parts.count("holdout")
    assert reference["metrics"]["auc"] == bundle.manifest.metrics["auc"]


def test_the_same_snapshot_trained_twice_is_the_same_release(story: Story, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERLOOP_GIT_COMMIT", COMMIT)
    again = replace(story.world, work=tmp_path, registry=type(story.world.registry)(), ledger=type(story.world.ledger)())
    _, registered = again.registered("another run")
    assert registered["release"] == story.second[1]["release"]


def test_importance_is_listed_by_size(story: Story) -> None:
    report = json.loads(staged_files(story.world.lake, "second", "evaluation")["report.json"])
    assert list(report["importance"].values()) == sorted(report["importance"].values(), reverse=True)


def test_registering_twice_gives_the_same_version(story: Story) -> None:
    found = training.register(story.world.lake, story.world.registry, story.world.use_case, "second")
    assert {**found, "seconds": 0} == {**story.second[1], "seconds": 0}


def test_the_gates_verdict_goes_to_the_ledger_once_and_changes_no_state(story: Story) -> None:
    world, (evaluation, registered) = story.world, story.second
    before = world.ledger.head("departures")[1]
    first = world.gate(evaluation, registered["release"])
    seq, state = world.ledger.head("departures")
    assert world.gate(evaluation, registered["release"]) == first
    assert (world.ledger.head("departures")) == (seq, before) == (seq, state)
    (entry,) = world.ledger.entries("departures", subject=registered["release"], action="gate_passed")
    assert (entry.actor, entry.evidence["champion"]) == ("everloop", story.first[1]["release"])
    assert {reason["check"] for reason in entry.evidence["reasons"]} >= {
        "gate.cost", "gate.auc", "gate.scorer", "gate.behaviour.boundaries", "gate.behaviour.direction.schedule__minute",
        "gate.behaviour.noise_decisions", "fairness.origin.tpr",
    }  # fmt: skip
    assert first["body"].count("\n- **pass**") >= 8
    assert world.registry.tags[registered["release"]]["gate"] == "pass"


def test_a_drill_is_refused_with_numbers_and_marked(story: Story) -> None:
    world, (evaluation, registered) = story.world, story.drill
    found = world.gate(evaluation, registered["release"])
    # Eleven days of an eighth of all departures do not show by how much it is worse, and that is enough to refuse it.
    assert (found["outcome"], found["passed"], found["forced"]) == ("inconclusive", False, False)
    assert "AUC minus champion's -0." in found["because"]
    assert world.registry.get(registered["release"]).manifest.lineage["drill"] == "true"
    assert registered["release"] != story.second[1]["release"]


def test_a_person_may_overrule_with_a_reason_that_the_ledger_keeps(story: Story) -> None:
    world, (evaluation, registered) = story.world, story.drill
    found = world.gate(evaluation, registered["release"], forced_by="ada", reason="fire drill")
    assert (found["passed"], found["forced"]) == (False, True)
    (entry,) = world.ledger.entries("departures", subject=registered["release"], action="forced")
    assert (entry.actor, entry.reason) == ("ada", "fire drill")
    with pytest.raises(ConfigurationError, match="ada forces release"):
        world.gate(evaluation, registered["release"], forced_by="ada")


def unmeasured(story: Story) -> World:
    """The story's world with a ledger of its own, in which nobody has measured what the champion was served."""
    world = replace(story.world, ledger=type(story.world.ledger)(), measurements=type(story.world.measurements)())
    world.crown(story.first[1]["release"])
    return world


def test_a_champion_that_is_served_other_features_than_history_stops_the_gate_by_their_name(story: Story) -> None:
    world, (evaluation, registered) = unmeasured(story), story.second
    world.replayed(story.first[1]["release"], "fail", "schedule__minute differs in 500")
    found = world.gate(evaluation, registered["release"])
    assert (found["outcome"], found["passed"]) == ("fail", False)
    assert "schedule__minute differs in 500" in found["because"]
    assert world.ledger.entries("departures")[-1].action == "gate_failed"


def test_a_champion_whose_features_nobody_has_compared_lets_nothing_pass(story: Story) -> None:
    found = unmeasured(story).gate(story.second[0], story.second[1]["release"])
    assert (found["outcome"], found["passed"]) == ("inconclusive", False)
    assert "let the monitor measure" in found["because"]


def test_a_candidate_is_judged_anew_when_the_champions_features_have_changed(story: Story) -> None:
    world, (evaluation, registered) = unmeasured(story), story.second
    for verdict in ("fail", "fail", "pass", "fail"):
        world.replayed(story.first[1]["release"], verdict)
        world.gate(evaluation, registered["release"])
    judged = [entry.action for entry in world.ledger.entries("departures", subject=registered["release"])]
    assert judged == ["gate_failed", "gate_passed", "gate_failed"]


def test_forcing_what_passes_overrules_nothing(story: Story) -> None:
    world, (evaluation, registered) = story.world, story.second
    assert world.gate(evaluation, registered["release"], forced_by="ada", reason="hurry")["forced"] is False
    assert not world.ledger.entries("departures", subject=registered["release"], action="forced")


def test_a_candidate_that_is_the_champion_is_stale(story: Story) -> None:
    world = replace(story.world, ledger=type(story.world.ledger)())
    world.crown(story.second[1]["release"])
    evaluation = training.evaluate(world.lake, world.registry, world.ledger, world.use_case, "second")
    found = world.gate(evaluation, story.second[1]["release"])
    assert found["outcome"] == "fail"
    assert "stale" in found["because"]


def test_what_the_tasks_return_is_small_plain_json(story: Story) -> None:
    for told in (*story.first, *story.second):
        assert len(json.dumps(told)) < 20_000


def test_fairness_groups_must_be_among_the_examples_columns(story: Story) -> None:
    use_case = replace(story.world.use_case, fairness=FairnessPolicy(columns=("age",)))
    with pytest.raises(DataError, match=r'FairnessPolicy\.columns names "age"'):
        training.evaluate(story.world.lake, story.world.registry, story.world.ledger, use_case, "second")


def test_a_behaviour_test_of_what_the_model_does_not_take_is_refused(story: Story) -> None:
    tests = (Invariance(column="age", tolerance=0.1, share=0.1),)
    use_case = replace(story.world.use_case, gate=replace(story.world.use_case.gate, behaviour=BehaviourPolicy(tests=tests)))
    with pytest.raises(ConfigurationError, match=r"BehaviourPolicy\.tests names age"):
        training.evaluate(story.world.lake, story.world.registry, story.world.ledger, use_case, "second")


def test_a_release_that_the_scorer_does_not_load_is_refused_before_anybody_is_asked(story: Story) -> None:
    evaluation, registered = story.second
    world = replace(unmeasured(story), scorer=InMemoryScorer(broken={registered["release"]: "view v is not there"}))
    found = world.gate(evaluation, registered["release"])
    assert (found["outcome"], found["passed"]) == ("fail", False)
    assert "view v is not there" in found["because"]


def test_the_absence_of_a_view_is_measured_for_the_reviewer(story: Story) -> None:
    evaluation, _ = story.second
    assert set(evaluation["evidence"]["behaviour"]["absent"]) == {"origin_delay", "every view"}


def test_lineage_names_code_lock_and_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(lineage()["lock_hash"]) == 64
    assert {"git_commit", "python", "xgboost", "numpy"} <= set(lineage())
    monkeypatch.setenv("EVERLOOP_GIT_COMMIT", "deadbeef")
    assert lineage()["git_commit"] == "deadbeef"


def test_the_first_release_passes_the_gate_without_a_champion(story: Story) -> None:
    evaluation, registered = story.first
    world = replace(story.world, ledger=type(story.world.ledger)())
    assert world.gate(evaluation, registered["release"])["passed"]


def test_lineage_names_cupy_by_its_package_where_it_makes_the_bins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [name for name in lineage() if name.startswith("cupy")]
    module = "everloop.steps.training.lineage"
    monkeypatch.setattr(f"{module}.has_cupy", lambda: True)
    monkeypatch.setattr(f"{module}.packages_distributions", lambda: {"cupy": ["cupy-cuda12x", "cupy-cuda12x"]})
    monkeypatch.setattr(f"{module}.version", lambda name: "14.2.0")
    assert lineage()["cupy-cuda12x"] == "14.2.0"


def test_the_evidence_says_how_many_labelled_rows_come_a_week_and_of_how_many_days_they_are(story: Story) -> None:
    evidence = story.second[0]["evidence"]
    rows = staged_examples(story.world.lake, "second")
    held = [row["event_timestamp"] for row in rows.select(["event_timestamp", "part"]).to_pylist() if row["part"] == "holdout"]
    weeks = (max(held) - min(held)).total_seconds() / 604_800
    assert evidence["rows_per_week"] == pytest.approx((len(held) - 1) / weeks)
    assert evidence["comparison"]["blocks"] == len({moment.date() for moment in held})


def test_groups_of_held_out_rows_are_counted_by_day(story: Story) -> None:
    counts = story.second[0]["fairness"]["origin"]["JFK"]
    assert counts["units"]["selection"]["trials"] == counts["rows"]
    assert 1 < counts["units"]["selection"]["units"] <= story.second[0]["evidence"]["comparison"]["blocks"]


def test_few_rows_for_a_margin_are_told_in_weeks(story: Story) -> None:
    world, (evaluation, registered) = story.world, story.second
    strict = replace(
        world,
        ledger=type(world.ledger)(),
        use_case=replace(world.use_case, gate=replace(world.use_case.gate, cost_margin=0.0001)),
    )
    strict.crown(story.first[1]["release"])
    because = strict.gate(evaluation, registered["release"])["because"]
    assert "rows can show a margin of" in because
    assert "weeks)" in because


def test_a_group_column_without_a_limit_is_counted_and_not_judged(story: Story) -> None:
    world, (evaluation, registered) = story.world, story.second
    use_case = replace(world.use_case, fairness=FairnessPolicy(columns=("origin",)))
    found = replace(world, use_case=use_case).gate(evaluation, registered["release"])
    assert "fairness" not in found["body"]
    assert "origin=" not in found["body"]
