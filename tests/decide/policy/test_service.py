import pytest

from everloop.decide.policy import ServicePolicy


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (ServicePolicy(feature_cache_seconds=-1.0), ["ServicePolicy.feature_cache_seconds is -1.0: use 0 or more"]),
        (ServicePolicy(confidence=1.0), ["ServicePolicy.confidence is 1.0: it must lie in (0, 1)"]),
        (ServicePolicy(confidence=0.0), ["ServicePolicy.confidence is 0.0: it must lie in (0, 1)"]),
        (ServicePolicy(minimum_requests=0), ["ServicePolicy.minimum_requests is 0: it must be 1 or more"]),
        (ServicePolicy(burst_seconds=0.0), ["ServicePolicy.burst_seconds is 0.0: it must be above 0"]),
        (ServicePolicy(on_missing_features="guess"), ['ServicePolicy.on_missing_features is "guess": use "default" or "refuse"']),
    ],
)
def test_what_does_not_hold_together_is_told(policy, told):
    assert policy.problems() == told


@pytest.mark.parametrize(
    "policy",
    [
        ServicePolicy(),
        ServicePolicy(on_missing_features="refuse"),
        ServicePolicy(feature_cache_seconds=0.0),
        ServicePolicy(feature_cache_seconds=0.5),
        ServicePolicy(confidence=0.5, minimum_requests=1, burst_seconds=0.5),
    ],
)
def test_a_sound_policy_has_no_problem(policy):
    assert policy.problems() == []
