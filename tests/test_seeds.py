"""Seeds: what a command names, and how they are told."""

import pytest

from nasbench_stc import seeds
from nasbench_stc.errors import BadCallError
from nasbench_stc.settings import check_seed


@pytest.mark.parametrize(
    ("some", "told"),
    [
        ([3], "seed 3"),
        ([1, 0], "seeds 0, 1"),
        ([0, 1, 2], "seeds 0-2"),
        ([5, 2, 1, 0], "seeds 0-2, 5"),
        ([9, 777, 778, 779], "seeds 9, 777-779"),
        (range(500), "seeds 0-499"),
        ([4, 4], "seed 4"),
    ],
)
def test_seeds_are_told_in_one_spelling(some, told):
    assert seeds.told(some) == told


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("1", [0]),
        ("3", [0, 1, 2]),
        ("100", list(range(100))),
        ("100,", [100]),
        ("0,", [0]),
        ("777,888,999", [777, 888, 999]),
        ("9,3", [9, 3]),
        ("100-104", [100, 101, 102, 103, 104]),
        ("7-7", [7]),
        ("0,5,100-104", [0, 5, 100, 101, 102, 103, 104]),
        (" 5 , 0 - 2", [5, 0, 1, 2]),
    ],
)
def test_seeds_are_named(text, named):
    assert seeds.parse(text) == named


def test_what_is_told_can_be_typed():
    for some in ([0, 1, 2, 5], [3, 4], list(range(40))):
        assert seeds.parse(f"{seeds.ranges(some)},") == some


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("many", "give how many .* or which, each once: .* one alone is 100,"),
        ("1.5", "give how many"),
        ("", "give how many"),
        (",", "give how many"),
        ("0", "give how many"),
        ("-1", "give how many"),
        ("3-1", "give how many"),
        ("1,1", "each once"),
        ("0-5,3", "each once"),
        ("1-2-3", "give how many"),
        ("²", "give how many"),
        ("9" * 20, "give how many"),
        ("1000000000000", "more than 100,000 runs"),
        ("5,0-1000000000000", "more than 100,000 runs"),
        ("9999999999999999999,", "a seed is at most 9223372036854775807"),
    ],
)
def test_what_names_no_seeds_is_refused(text, said):
    with pytest.raises(BadCallError, match=f"^--seeds '.*': .*{said}"):
        seeds.parse(text)


def test_a_seed_is_a_whole_number_that_a_record_can_hold():
    for seed in (0, 2**63 - 1):
        check_seed(seed)
    for seed in (-1, 2**63, True, 1.0, "1"):
        with pytest.raises(BadCallError, match="whole number, not negative, below 2\\^63"):
            check_seed(seed)
