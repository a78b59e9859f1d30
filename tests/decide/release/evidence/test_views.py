import pytest

from everloop.decide.release.evidence import OwnViews
from everloop.decide.release.evidence.views import NOT_KNOWN

OLD = {"weather": ("w", 3600), "aircraft": ("a", None)}


@pytest.mark.parametrize(
    ("ours", "theirs", "candidate", "baseline"),
    [
        (OLD, OLD, set(), set()),
        (OLD | {"seats": ("s", 1)}, OLD, {"seats"}, set()),
        ({"weather": ("w", 3600)}, OLD, set(), {"aircraft"}),
        (OLD | {"weather": ("w", 60)}, OLD, {"weather"}, {"weather"}),
        ({"seats": None}, {"weather": None}, {"seats"}, {"weather"}),
        ({}, {}, set(), set()),
    ],
)
def test_a_view_is_ones_own_unless_the_other_release_reads_it_alike(ours, theirs, candidate, baseline):
    own = OwnViews.of({"new": ours, "old": theirs}, "new", "old")
    assert (own.candidate, own.baseline) == (candidate, baseline)
    assert own.none is (not candidate and not baseline)


def test_a_view_without_anything_that_tells_it_apart_is_still_not_an_absent_one():
    assert OwnViews.of({"new": {"seats": None}, "old": {}}, "new", "old").candidate == {"seats"}


def test_views_that_nobody_named_or_a_first_release_are_not_known():
    assert OwnViews.of(None, "new", "old") is NOT_KNOWN
    assert OwnViews.of({"new": OLD}, "new", None) is NOT_KNOWN
    assert not NOT_KNOWN.none
    assert (NOT_KNOWN.candidate, NOT_KNOWN.baseline) == (None, None)


def test_a_release_whose_views_were_not_given_is_an_error():
    with pytest.raises(KeyError, match="old"):
        OwnViews.of({"new": OLD}, "new", "old")
