"""Numbers for people: three significant digits, the fitting unit, never an exponent."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlbench.core.units import (
    encodable,
    format_bytes,
    format_count,
    format_factor,
    format_p,
    format_percent,
    format_points,
    format_seconds,
    group_medians,
    sparkline,
)

SECONDS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
BYTES = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


def _parse(text, units):
    """Return the value that a text like '4.20 ms' or '2 min 05 s' stands for, and its last unit."""
    pairs = re.findall(r"([\d,.]+) ([a-zA-Zµ]+)", text)
    assert " ".join(f"{number} {unit}" for number, unit in pairs) == text
    total = sum(float(number.replace(",", "")) * units[unit] for number, unit in pairs)
    return total, units[pairs[-1][1]]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"),
        (1e-9, "1.00 ns"),
        (9.994e-7, "999 ns"),
        (9.996e-7, "1.00 µs"),
        (0.0042, "4.20 ms"),
        (0.03, "30.0 ms"),
        (0.9996, "1.00 s"),
        (1, "1.00 s"),
        (59.94, "59.9 s"),
        (99.97, "100 s"),
        (119.9, "120 s"),
        (120, "2 min 00 s"),
        (125.4, "2 min 05 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (3659, "1 h 01 min"),
        (7199, "2 h 00 min"),
        (100_000, "27 h 47 min"),
    ],
)
def test_seconds(value, text):
    """A duration reads as people write it."""
    assert format_seconds(value) == text


@given(st.floats(1e-9, 1e5))
def test_seconds_parse_back(value):
    """The text is within 0.5 % of the value, or half of the last unit where it shows two."""
    parsed, last_unit = _parse(format_seconds(value), SECONDS)
    # three significant digits: at most 0.5 of the last, which is at least 1 of 100
    tolerance = 0.005 * value if value < 120 else max(0.005 * value, last_unit / 2)
    assert abs(parsed - value) <= tolerance * (1 + 1e-9)


@given(st.floats(1e-9, 119))
def test_seconds_show_three_digits(value):
    """No more than three and no fewer: 4.20 and not 4.2."""
    digits = re.sub(r"\D", "", format_seconds(value).split()[0]).lstrip("0")
    assert len(digits) == 3


@given(st.floats(0, 1e5), st.floats(0, 1e5))
def test_longer_never_reads_as_shorter(one, other):
    """Rounding keeps the order, also where the unit changes."""
    texts = [format_seconds(value) for value in sorted((one, other))]
    low, high = (_parse(text, SECONDS)[0] for text in texts)
    assert low <= high * (1 + 1e-12)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (17_400_000, "17.4 MB"),
        (999_600_000, "1.00 GB"),
        (2.5e15, "2,500 TB"),
    ],
)
def test_bytes(value, text):
    """Sizes are in decimal units."""
    assert format_bytes(value) == text


@given(st.integers(1, 10**16))
def test_bytes_parse_back(value):
    """The text is within 0.5 % of the size."""
    assert _parse(format_bytes(value), BYTES)[0] == pytest.approx(value, rel=0.005001)


@pytest.mark.parametrize(
    ("value", "digits", "text"), [(0.8741, 1, "87.4 %"), (1, 1, "100.0 %"), (0.87412, 2, "87.41 %")]
)
def test_percent(value, digits, text):
    """Fractions become percents only here."""
    assert format_percent(value, digits) == text


@given(st.floats(0, 1))
def test_percent_parses_back(fraction):
    """The text is within half of its last digit of the fraction."""
    text = format_percent(fraction)
    assert float(text.removesuffix(" %")) / 100 == pytest.approx(fraction, abs=0.0005 + 1e-12)


@given(st.integers(0, 10**12))
def test_count_keeps_every_digit(value):
    """A count is never rounded."""
    assert int(format_count(value).replace(",", "")) == value


@given(st.floats(0, 1e18))
def test_no_text_has_an_exponent(value):
    """However small or large: nobody has to read 1e-05."""
    number = re.compile(r"\de[+-]?\d")
    for text in (format_seconds(value), format_bytes(value), format_count(value)):
        assert not number.search(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0012345, "0.00123"),
        (0.1234, "0.123"),
        (0.9996, "1.00"),
        (1, "1.00"),
        (7.326, "7.33"),
        (9.999, "10.0"),
        (12.34, "12.3"),
        (123.4, "123"),
        (1234, "1,230"),
        (1e-5, "1.00e-05"),
        (2e7, "2.00e+07"),
    ],
)
def test_factors(value, text):
    """A ratio reads with three significant digits, whatever its size."""
    assert format_factor(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.0123, "+1.2"), (-0.03, "-3.0"), (0.0, "+0.0")])
def test_points(value, text):
    """Differences of fractions, with their sign."""
    assert format_points(value) == text


@pytest.mark.parametrize(("value", "text"), [(1, "1.000"), (0.0421, "0.042"), (1e-9, "< 0.001")])
def test_p_values(value, text):
    """Three decimals; smaller ones are bounded and not rounded to nothing."""
    assert format_p(value) == text


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8], "▁▂▃▄▅▆▇█"),
        ([3, 1, 3], "█▁█"),
        ([0.002, 0.002], "▁▁"),
        ([5], "▁"),
        ([0, 1e-9, 1], "▁▁█"),
    ],
)
def test_bars_are_as_high_as_their_values(values, bars):
    """Between the lowest and the highest; equal values are low, not an error."""
    assert sparkline(values) == bars


@given(values=st.lists(st.floats(0, 1e9), min_size=1, max_size=60))
def test_there_is_a_bar_for_each_value(values):
    found = sparkline(values)
    assert len(found) == len(values)
    assert set(found) <= set("▁▂▃▄▅▆▇█")


@given(values=st.lists(st.integers(0, 9), min_size=1, max_size=200), most=st.integers(1, 30))
def test_groups_leave_no_value_out(values, most):
    """Each in its place: the ends are those of the values."""
    found = group_medians(values, most)
    assert len(found) == min(most, len(values))
    assert min(values) <= min(found) <= max(found) <= max(values)
    if len(values) <= most:
        assert found == values


def test_groups_are_of_neighbours():
    assert group_medians([1, 1, 1, 9, 5, 5], 2) == [1, 5]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", None, "no-such-code"])
def test_bars_are_plain_where_an_output_has_none(encoding):
    assert encodable("n ▁▂▃▄▅▆▇█", encoding) == "n _.:-=+*#"


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-16", "cp437"])
def test_bars_stay_where_an_output_has_them(encoding):
    expected = "_" if encoding == "cp437" else "▁"  # which has a few of them
    assert encodable("▁", encoding) == expected
