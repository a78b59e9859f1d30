"""The numbers of two libraries that people know: fairlearn, and Amazon SageMaker Clarify by its documentation."""

from dataclasses import replace

import numpy as np
import pytest
from fairlearn.metrics import (
    demographic_parity_difference,
    demographic_parity_ratio,
    equal_opportunity_difference,
    equal_opportunity_ratio,
    equalized_odds_difference,
    equalized_odds_ratio,
)

from everloop.decide.fairness import GroupCounts, count, summary

RNG = np.random.default_rng(10)
GROUPS = RNG.choice(["a", "d"], p=[0.6, 0.4], size=3000)
LABELS = (RNG.random(3000) < 0.3).astype(float)
DECISIONS = RNG.random(3000) < np.where(GROUPS == "d", 0.25, 0.3) + 0.3 * LABELS
COUNTS = count(GROUPS.tolist(), DECISIONS, LABELS)
FAIRLEARN = {
    "demographic_parity_difference": demographic_parity_difference,
    "demographic_parity_ratio": demographic_parity_ratio,
    "equal_opportunity_difference": equal_opportunity_difference,
    "equal_opportunity_ratio": equal_opportunity_ratio,
    "equalized_odds_difference": equalized_odds_difference,
    "equalized_odds_ratio": equalized_odds_ratio,
}


def test_every_number_equals_fairlearn():
    given = {"y_true": LABELS, "y_pred": DECISIONS, "sensitive_features": GROUPS}
    assert summary(COUNTS) == pytest.approx({name: metric(**given) for name, metric in FAIRLEARN.items()}, abs=1e-12)


def test_what_two_groups_do_not_have_is_left_out():
    assert summary({"a": GroupCounts(rows=9, selected=3)}) == {}
    unlabelled = {"a": GroupCounts(rows=9, selected=3), "b": GroupCounts(rows=9)}
    assert summary(unlabelled) == {"demographic_parity_difference": pytest.approx(1 / 3), "demographic_parity_ratio": 0}
    assert set(summary({"a": GroupCounts(rows=9), "b": GroupCounts(rows=9)})) == {"demographic_parity_difference"}


def test_the_worse_of_two_error_rates_counts_once_both_are_known():
    a = GroupCounts(rows=20, positives=10, true_positives=8, negatives=10)
    b = GroupCounts(rows=20, positives=10, true_positives=4, negatives=10)
    assert summary({"a": a, "b": b}) == {
        "demographic_parity_difference": 0,
        "equal_opportunity_difference": pytest.approx(0.4),
        "equal_opportunity_ratio": pytest.approx(0.5),
        "equalized_odds_difference": pytest.approx(0.4),
    }
    alarmed = {"a": replace(a, false_positives=1), "b": replace(b, false_positives=4)}
    assert summary(alarmed)["equalized_odds_difference"] == pytest.approx(0.4)
    assert summary(alarmed)["equalized_odds_ratio"] == pytest.approx(0.25)
    unknown = {"a": replace(a, negatives=0), "b": replace(b, negatives=0)}
    assert not any(name.startswith("equalized_odds") for name in summary(unknown))


def test_groups_of_fewer_rows_than_wanted_are_left_out():
    counts = {"a": GroupCounts(rows=9, selected=3), "b": GroupCounts(rows=9, selected=6), "c": GroupCounts(rows=8, selected=8)}
    assert summary(counts, 9)["demographic_parity_difference"] == pytest.approx(1 / 3)
    assert summary(counts, 10) == {}
    ones = {"a": GroupCounts(rows=1, selected=1), "b": GroupCounts(rows=1), "c": GroupCounts()}
    assert summary(ones) == summary(ones, 0) == {"demographic_parity_difference": 1, "demographic_parity_ratio": 0}


def clarify() -> dict[str, float]:
    """Clarify's post-training metrics of facet d against facet a, row by row as the Developer Guide defines them.

    "Measure Post-training Data and Model Bias" in the Amazon SageMaker Developer Guide.
    """
    facets = {}
    for name in "ad":
        label, predicted = LABELS[name == GROUPS] == 1, DECISIONS[name == GROUPS]
        facets[name] = {
            "q": predicted.mean(),
            "acceptance": (label & predicted).sum() / predicted.sum(),
            "recall": (label & predicted).sum() / label.sum(),
            "specificity": (~label & ~predicted).sum() / (~label).sum(),
            "accuracy": (label == predicted).mean(),
            "tau": (label & ~predicted).sum() / (~label & predicted).sum(),
        }
    a, d = facets["a"], facets["d"]
    return {
        "DPPL": a["q"] - d["q"],
        "DI": d["q"] / a["q"],
        "DAR": a["acceptance"] - d["acceptance"],
        "RD": a["recall"] - d["recall"],
        "SD": d["specificity"] - a["specificity"],
        "AD": a["accuracy"] - d["accuracy"],
        "TE": d["tau"] - a["tau"],
    }


def test_the_counts_give_the_metrics_of_sagemaker_clarify():
    rate = {name: {n: hits / trials for n, (hits, trials) in rates(COUNTS[name]).items()} for name in "ad"}
    a, d = rate["a"], rate["d"]
    tau = {n: (c.positives - c.true_positives) / c.false_positives for n, c in COUNTS.items()}
    ours = {
        "DPPL": a["selection"] - d["selection"],
        "DI": d["selection"] / a["selection"],
        "DAR": a["precision"] - d["precision"],
        "RD": a["tpr"] - d["tpr"],
        "SD": a["fpr"] - d["fpr"],
        "AD": a["accuracy"] - d["accuracy"],
        "TE": tau["d"] - tau["a"],
    }
    assert ours == pytest.approx(clarify(), abs=1e-12)


def rates(counts):
    return {name: counts.rate(name) for name in ("selection", "tpr", "fpr", "precision", "accuracy")}
