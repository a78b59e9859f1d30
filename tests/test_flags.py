from hypothesis import given
from hypothesis import strategies as st

from everloop import flags


def test_the_views_that_gave_nothing_fresh_are_named() -> None:
    earned = ["missing:weather", "stale:aircraft", "challenger_failed", "early:seats", "features_unavailable", "late:crew"]
    assert flags.lacking(earned) == {"weather", "aircraft", "seats"}
    assert flags.lacking([]) == set()
    assert flags.lacking(["missing:a:b", "missing:", "missing"]) == {"a:b", ""}


@given(st.dictionaries(st.text("abc:_", min_size=1), st.sampled_from(["absent", "stale", "early"])))
def test_what_a_view_earns_says_what_it_was_and_that_it_lacks(found: dict[str, str]) -> None:
    earned = [flags.flag_of(status, view) for view, status in found.items()]
    assert flags.statuses(earned, [*found, "other!"]) == found | {"other!": flags.FRESH}
    assert flags.lacking(earned) == set(found)
    assert flags.incomplete(earned) is bool(found)


def test_a_store_that_was_away_names_no_view() -> None:
    for flag in (flags.UNAVAILABLE, flags.LAST_GOOD):
        assert flags.incomplete([flag])
        assert flags.lacking([flag]) == set()
