"""Instants in their usual form are read by Python itself, to the same end as those in any other."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from mappings.time.times import parse_moment

BERLIN = ZoneInfo("Europe/Berlin")
_two_digits = st.integers(0, 99).map("{:02}".format)


@given(
    st.sampled_from(["0000", "0001", "1582", "2026", "9999"]),
    *[st.integers(0, most).map("{:02}".format) for most in (13, 32, 25, 61, 61)],
    st.just("Z") | st.tuples(st.sampled_from("+-"), _two_digits, _two_digits).map(lambda p: f"{p[0]}{p[1]}:{p[2]}"),
)
@example("2026", "03", "29", "02", "30", "00", "+01:00")
@example("2026", "06", "30", "23", "59", "60", "Z")
@example("2026", "06", "30", "24", "00", "00", "Z")
@example("9999", "12", "31", "23", "00", "00", "-05:00")
def test_an_instant_is_read_alike_in_its_usual_form_and_with_a_space(
    year: str, month: str, day: str, hour: str, minute: str, second: str, offset: str
) -> None:
    usual = f"{year}-{month}-{day}T{hour}:{minute}:{second}{offset}"
    quick, patient = parse_moment(usual, BERLIN), parse_moment(usual.replace("T", " "), BERLIN)
    assert (quick is None) is (patient is None)
    if quick and patient:
        assert (quick.earliest, quick.latest) == (patient.earliest, patient.latest)
        assert (quick.first_day, quick.last_day) == (patient.first_day, patient.last_day)
        assert quick.text == usual
