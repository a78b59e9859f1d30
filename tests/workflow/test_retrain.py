from __future__ import annotations

from dataclasses import replace

import pytest

from everloop.errors import ConfigurationError
from everloop.use_case import UseCase
from everloop.workflow.approval import answerer
from everloop.workflow.retrain import check_form, graph, question, why


def test_forcing_needs_a_reason_before_anything_is_computed() -> None:
    with pytest.raises(ConfigurationError, match="needs a reason"):
        check_form({"force": True, "reason": None})
    check_form({"force": True, "reason": "a drill"})


def test_skipping_the_shadow_is_forcing() -> None:
    with pytest.raises(ConfigurationError, match="only a forced rollout"):
        check_form({"skip_shadow": True, "reason": "hurry"})


def test_the_reason_of_a_person_goes_before_the_monitors() -> None:
    events = [{"reason": "drift"}, {"reason": "drift"}, {"reason": "cost"}]
    assert why({"reason": "by hand"}, events) == "by hand"
    assert why({}, events) == "drift; cost"
    assert "without a reason" in why({}, [])


def test_a_use_case_without_approval_has_no_such_task(flights: UseCase) -> None:
    unasked = replace(flights, rollout=replace(flights.rollout, approval=False))
    assert "approve" in graph(flights).task_ids
    assert "approve" not in graph(unasked).task_ids
    assert graph(unasked).get_task("release").upstream_task_ids >= {"gate"}


def test_a_person_is_asked_with_every_reason_and_told_when_the_gate_was_overruled() -> None:
    verdict = {"release": "abcd", "forced": True, "body": "- **fail** AUC too low\n- **pass** small enough"}
    text = question(verdict, {"version": "3", "url": "http://mlflow/3"})
    assert "refused it" in text
    assert text.endswith("- **fail** AUC too low\n- **pass** small enough")
    assert "[version 3 in MLflow](http://mlflow/3)" in text


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"responded_by_user": {"id": "1", "name": "ann"}}, "ann"),
        ({"responded_by_user": {"id": "1", "name": ""}}, "1"),
        ({"responded_by_user": None}, "nobody (Airflow named no user)"),
    ],
)
def test_the_answer_names_who_gave_it(event: dict, name: str) -> None:
    assert answerer(event) == name
