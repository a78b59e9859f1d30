from everloop.decide.release.state import ReleaseState, Stage


def test_the_challenger_is_scored_beside_the_champion_and_in_the_watch_the_previous_one() -> None:
    for stage in Stage:
        state = ReleaseState(champion="old", previous="older", challenger="new", stage=stage)
        assert state.shadow == ("older" if stage is Stage.WATCH else "new")
