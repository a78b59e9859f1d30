import pytest

from everloop.decide.policy import BehaviourPolicy, Direction, Invariance

STEP = Direction(column="d", step=1, tolerance=0.1, share=0.1)


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (BehaviourPolicy(tests=(STEP, STEP)), ["BehaviourPolicy.tests has direction.d more than once: one is enough"]),
        (BehaviourPolicy(noise=0), ["BehaviourPolicy.noise is 0: it must be above 0"]),
        (BehaviourPolicy(noise_decisions=2), ["BehaviourPolicy.noise_decisions is 2: it must lie in [0, 1]"]),
        (BehaviourPolicy(rows=0), ["BehaviourPolicy.rows is 0: it must be 1 or more"]),
        (Direction(column="d", step=0, tolerance=0.1, share=0.1), ["Direction of d: step is 0, it must be above 0"]),
        (Invariance(column="c", tolerance=2, share=0.1), ["Invariance of c.tolerance is 2: it must lie in [0, 1]"]),
        (Invariance(column="c", tolerance=0.1, share=-1), ["Invariance of c.share is -1: it must lie in [0, 1]"]),
        (
            Invariance(column="c", tolerance=0.1, share=0.1, values=("a",), step=1),
            ["Invariance of c has values and a step: give one of them"],
        ),
        (
            BehaviourPolicy(tests=(Invariance(column="c", tolerance=2, share=0.1),)),
            ["Invariance of c.tolerance is 2: it must lie in [0, 1]"],
        ),
    ],
)
def test_what_does_not_hold_together_is_told(policy, told):
    assert policy.problems() == told


def test_every_problem_is_told_at_once():
    policy = BehaviourPolicy(tests=(Direction(column="d", step=0, tolerance=0.1, share=2),), noise=-1, noise_decisions=-1, rows=0)
    assert [problem.partition(" is ")[0] for problem in policy.problems()] == [
        "Direction of d.share", "Direction of d: step", "BehaviourPolicy.noise", "BehaviourPolicy.noise_decisions",
        "BehaviourPolicy.rows",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "policy", [BehaviourPolicy(), BehaviourPolicy(tests=(STEP,), rows=1), Invariance(column="c", tolerance=0, share=1, step=1)]
)
def test_a_sound_policy_has_no_problem(policy):
    assert policy.problems() == []


def test_a_test_says_what_it_demands():
    assert (STEP.name, str(STEP)) == ("direction.d", "d up by 1 must not lower a score by more than 0.1")
    falling = Direction(column="d", step=0.5, tolerance=0.01, share=0.1, rises=False)
    assert str(falling) == "d up by 0.5 must not raise a score by more than 0.01"
    still = Invariance(column="c", tolerance=0.25, share=0.1)
    assert (still.name, str(still)) == ("invariance.c", "c must not move a score by more than 0.25")
