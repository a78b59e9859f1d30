from __future__ import annotations

from datetime import timedelta

import pytest

from everloop.decide.policy import DriftPolicy, RetrainPolicy

EVERY = "it must be a day or more and not below cooldown"


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (RetrainPolicy(k=4, n=3), "RetrainPolicy: k=4 of n=3: 1 <= k <= n must hold"),
        (RetrainPolicy(k=0), "RetrainPolicy: k=0 of n=3: 1 <= k <= n must hold"),
        (RetrainPolicy(new_labels=0), "RetrainPolicy.new_labels is 0: it must be 1 or more, or None for never"),
        (
            RetrainPolicy(every=timedelta(days=27)),
            f"RetrainPolicy.every is 27 days, 0:00:00: {EVERY} (28 days, 0:00:00), which would hold it back",
        ),
        (
            RetrainPolicy(every=timedelta(hours=23), cooldown=timedelta(0)),
            f"RetrainPolicy.every is 23:00:00: {EVERY} (0:00:00), which would hold it back",
        ),
    ],
)
def test_a_retrain_policy_that_does_not_hold_together_is_told(policy: RetrainPolicy, told: str) -> None:
    assert policy.problems() == [told]


def test_a_sound_retrain_policy_has_no_problem() -> None:
    day = timedelta(days=1)
    assert RetrainPolicy().problems() == []
    assert RetrainPolicy(k=1, n=1, new_labels=1, every=day, cooldown=day).problems() == []
    assert RetrainPolicy(k=3, n=3, every=day, cooldown=timedelta(0)).problems() == []


LIMITS = ("psi", "jensen_shannon", "wasserstein", "missing_rate", "unknown_rate", "label", "residual")


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_of_drift_that_everything_reaches_is_told(name: str) -> None:
    told = f"DriftPolicy.{name} is 0: a limit must be above 0, or None to measure only"
    assert DriftPolicy(**{name: 0}).problems() == [told]
    assert DriftPolicy(**{name: None}).problems() == DriftPolicy(**{name: 0.01}).problems() == []


def test_a_share_of_columns_is_a_share() -> None:
    assert DriftPolicy(share=30).problems() == ["DriftPolicy.share is 30: it must lie in [0, 1]"]
