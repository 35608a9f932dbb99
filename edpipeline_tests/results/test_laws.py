"""The laws hold for uploads: random files on random days, loaded in any order.

Tables follow from what landed; loading twice changes nothing; every row is accounted for.
"""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edpipeline_tests.district import assert_adds_up
from edpipeline_tests.results.uploads import Uploads, sample

MANY = 2
"""Examples a test and warehouse; hundreds were run before these were thought to hold."""
FEW = settings(
    max_examples=MANY,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
HEADER, *LINES = sample("nwea_map", "nwea_cdf_2020.csv").decode().splitlines()

CHANGES = (
    lambda lines: lines,
    lambda lines: lines[1:],
    lambda lines: lines[::-1],
    lambda lines: [*lines, *lines[:1]],
    lambda lines: [*(line.replace('"201"', '"207"') for line in lines[:1]), *lines[1:]],
    lambda lines: [*(line.replace('"201"', '"9999"') for line in lines[:1]), *lines[1:]],
    lambda lines: [line.replace('"', "") for line in lines if line.count(",") == 142],
    lambda lines: [line.replace("2023-2024", "2024-2025") for line in lines],
    lambda lines: [*lines[:2], "Total,2"],
    lambda lines: [line + " " for line in lines[:3]],
    lambda lines: [],
)
UPLOAD = st.tuples(
    st.lists(st.sampled_from(CHANGES), max_size=2),
    st.sampled_from([0, 0, 1, 1, 2]),
    st.sampled_from(["district_user_id", "state_user_id"]),
    st.booleans(),
)
UPLOADS = st.lists(UPLOAD, min_size=1, max_size=4)


def content_of(changes, ends):
    lines = list(LINES)
    for change in changes:
        lines = change(lines)
    return ("\n".join([HEADER, *lines]) + ("\n" if ends else "")).encode()


@given(uploads_=UPLOADS, data=st.data())
@FEW
def test_days_in_any_order_and_a_rebuild_give_the_same_tables(uploads, uploads_, data):
    in_order: Uploads = uploads("nwea_map")
    mixed = Uploads(in_order.warehouse, in_order.folder, in_order.source)
    files = sorted(uploads_, key=lambda each: each[1])
    for changes, day, match_on, ends in files:
        content = content_of(changes, ends)
        report = in_order.upload(content, day=day, match_on=match_on)
        for file in report.files:
            assert_adds_up(file)
        mixed.land({"results.csv": content}, day, match_on=match_on)
    expected = in_order.state()
    for day in data.draw(st.permutations(sorted({day for _, day, _, _ in files}))):
        mixed.load(day)
    assert mixed.state() == expected
    in_order.load(files[0][1])
    assert in_order.state() == expected
    in_order.sync().rebuild()
    assert in_order.state() == expected
