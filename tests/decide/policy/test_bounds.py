from everloop.decide.policy.bounds import unit


def test_a_share_lies_between_0_and_1():
    assert [unit("P", "x", value) for value in (0, 0.5, 1)] == [[], [], []]
    assert unit("P", "x", 1.01) == ["P.x is 1.01: it must lie in [0, 1]"]
    assert unit("P", "x", -0.01) == ["P.x is -0.01: it must lie in [0, 1]"]
