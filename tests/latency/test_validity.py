"""Each check fails for its own reason, with its figure and what to do; unknown is never passed."""

import pytest

from tlbench.latency import reasons_of

ALL = [
    "finished",
    "samples",
    "other load",
    "clock speed",
    "trend",
    "autocorrelation",
    "timer",
    "batch",
    "placement",
    "caching",
    "arithmetic",
]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [12, 64, 1000])
def test_a_quiet_timing_passes_every_check(n, seed, outcomes, quiet_samples):
    """In this order: what decides most comes first. The seeds are fixed, so is the outcome."""
    assert outcomes(quiet_samples(n, seed)) == dict.fromkeys(ALL, "pass")
    assert list(outcomes(quiet_samples(n, seed))) == ALL


BROKEN = {
    "finished": ({"complete": False}, ["interrupted", "measure again"]),
    "other load": ({"other_cpus": 1.5}, ["1.50 of 4", "stop it"]),
    "timer": ({"tick_s": 1e-4}, [" 41 clock ticks", "100 µs", "larger batch"]),
    "batch": ({"batch_size": 8, "n_outputs": 1}, ["8 images", "1 rows", "would be wrong"]),
    "caching": ({"repeated_ratio": 0.31}, ["0.31", "turn the cache off"]),
    "arithmetic": ({"macs_per_s": 7e9}, ["7.0 times", "cannot have run"]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_fault_fails_one_check(name, outcomes, check_of):
    """Nothing else is blamed, and the text has the figure and what to do."""
    changes, words = BROKEN[name]
    expected = dict.fromkeys(ALL, "pass") | {name: "fail"}
    if name == "other load":  # a neighbour on the same core slows the arithmetic as heat does
        expected["clock speed"] = "unknown"
    assert outcomes(**changes) == expected
    text = check_of(name, **changes).text
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize(
    ("name", "fine", "broken"),
    [
        ("other load", {"other_cpus": 0.20}, {"other_cpus": 0.21}),
        ("caching", {"repeated_ratio": 0.80}, {"repeated_ratio": 0.79}),
        ("arithmetic", {"macs_per_s": 2.5e9}, {"macs_per_s": 2.501e9}),
        ("batch", {"batch_size": 7, "n_outputs": 7}, {"batch_size": 7, "n_outputs": 8}),
        ("batch", {"batch_size": 7, "n_outputs": 7}, {"batch_size": 7, "n_outputs": 6}),
    ],
)
def test_the_bound_of_a_check(name, fine, broken, check_of):
    """At the bound it passes, just outside it fails."""
    assert check_of(name, **fine).outcome == "pass"
    assert check_of(name, **broken).outcome == "fail"


@pytest.mark.parametrize(("call_s", "outcome"), [(25.0, "pass"), (24.75, "fail")])
def test_a_call_lasts_100_ticks(call_s, outcome, check_of):
    """Numbers that a computer divides exactly; the middle sample counts."""
    check = check_of("timer", [1.0] * 10 + [call_s] * 11, tick_s=0.25)
    assert (check.outcome, check.value, check.limit) == (outcome, call_s / 0.25, 100)


@pytest.mark.parametrize(("others", "outcome"), [(0.20, "pass"), (0.21, "unknown")])
def test_speed_is_judged_up_to_the_bound_of_other_load(others, outcome, check_of):
    assert check_of("clock speed", other_cpus=others).outcome == outcome


@pytest.mark.parametrize(
    ("name", "changes", "value", "limit"),
    [
        ("other load", {"other_cpus": 1.0}, 0.25, 0.05),
        ("clock speed", {"slowdown": 1.30}, 0.30, 0.25),
        ("caching", {"repeated_ratio": 0.31}, 0.31, 0.80),
        ("arithmetic", {"macs_per_s": 7e9}, 7.0, 2.5),
        ("batch", {"n_outputs": 3}, 3, 1),
    ],
)
def test_a_check_keeps_its_figure_and_its_bound(name, changes, value, limit, check_of):
    check = check_of(name, **changes)
    assert (check.value, check.limit) == (pytest.approx(value), limit)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("other load", {"other_cpus": None}),
        ("caching", {"repeated_ratio": None}),
        ("arithmetic", {"macs_per_s": None}),
        ("arithmetic", {"ceiling_macs_per_s": None}),
        ("arithmetic", {"ceiling_macs_per_s": 0.0}),
    ],
)
def test_what_is_not_known_is_said_to_be_unknown(name, changes, outcomes):
    """It neither passes nor fails, and the other checks are as before."""
    found = outcomes(**changes)
    assert found == dict.fromkeys(ALL, "pass") | {name: "unknown"}


@pytest.mark.parametrize(
    ("held", "outcome"), [(0.0, "pass"), (0.01, "pass"), (0.011, "fail"), (3.0, "fail")]
)
@pytest.mark.parametrize("quota", [1.5, None], ids=["", "of a cgroup out of sight"])
def test_a_quota_that_held_processors_back_is_the_reason(held, outcome, quota, check_of, outcomes):
    """One processor for 10 ms in every second is the bound; a quota above shows in its counter."""
    changes = {"cpu_quota": quota, "throttled_cpus": held}
    if quota is None and not held:
        assert "cpu quota" not in outcomes(**changes)
        return
    check = check_of("cpu quota", **changes)
    assert (check.outcome, check.value, check.limit) == (outcome, held, 0.01)
    assert outcomes(**changes) == dict.fromkeys(ALL, "pass") | {"cpu quota": outcome}
    assert ("quota of 1.5 processors held back" in check.text) is (quota is not None)
    if outcome == "fail":
        assert reasons_of([check])[0].startswith("throttled: the CPU quota")
        assert f"held back {held:.2f} processors" in check.text
        assert "use fewer threads or raise the quota" in check.text


def test_a_quota_without_a_counter_is_unknown(check_of):
    check = check_of("cpu quota", cpu_quota=1.5)
    assert check.outcome == "unknown"
    assert "does not count" in check.text


def test_without_a_quota_none_is_judged(outcomes):
    assert "cpu quota" not in outcomes()


def test_operators_elsewhere_are_a_note(check_of):
    """Convolutions were refused before; shape arithmetic on the CPU is normal, and said."""
    check = check_of("placement", elsewhere=("Gather", "Shape"))
    assert check.outcome == "note"
    assert "Gather, Shape" in check.text


def test_the_reasons_are_the_texts_of_what_failed(checks_of):
    """Notes and unknowns make no timing INVALID."""
    checks = checks_of(complete=False, repeated_ratio=0.3, other_cpus=None, elsewhere=("Shape",))
    reasons = reasons_of(checks)
    assert len(reasons) == 2
    assert reasons[0].startswith("interrupted")
    assert reasons[1].startswith("result caching")


def test_a_valid_timing_has_no_reasons(checks_of):
    assert reasons_of(checks_of()) == ()
