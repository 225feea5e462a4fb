"""Reading a pickle entry by entry: the same objects as at once, and nothing kept that would grow."""

import io
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_stc import streaming
from nasbench_stc.benchmark.official import ADMITTED
from nasbench_stc.errors import DataError

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=60)
    | st.binary(min_size=1, max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.integers() | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=30,
)
cells = st.dictionaries(st.text(min_size=1, max_size=9), plain, min_size=1, max_size=4)
protocols = pytest.mark.parametrize("protocol", [2, 3, 4, 5])


def streamed(content: bytes) -> tuple[dict[int, object], dict[str, object]]:
    *found, (last, rest) = streaming.entries(io.BytesIO(content), Path("made.pickle"), ADMITTED, "cells")
    assert last is None
    return dict(found), rest


@protocols
@given(entries=st.dictionaries(st.integers(0, 20_000), cells, max_size=5), before=plain, after=plain)
def test_entries_are_what_unpickling_all_gives(protocol, entries, before, after):
    entries = {index: pickle.loads(pickle.dumps(entry)) for index, entry in entries.items()}  # none shares its objects
    found, rest = streamed(pickle.dumps({"before": before, "cells": entries, "after": after}, protocol))
    assert found == entries
    assert rest == {"before": before, "cells": None, "after": after}


@protocols
@pytest.mark.parametrize("number", [1, 2, 999, 1000, 1001, 2001])
def test_any_number_of_entries(protocol, number):
    entries = {index: {"a": index, "b": [index]} for index in range(number)}
    assert streamed(pickle.dumps({"cells": entries}, protocol))[0] == entries


@protocols
def test_entries_may_share_strings_and_classes(protocol):
    name, long_name = "".join(["na", "me"]), "x".join(["long"] * 30)
    entries = {i: {name: np.float64(i), "kind": name, long_name: long_name, "none": None} for i in range(9)}
    assert streamed(pickle.dumps({"first": name, "cells": entries, "last": long_name}, protocol))[0] == entries


@protocols
def test_an_entry_that_refers_into_another_is_an_error_rather_than_a_wrong_number(protocol):
    shared = [1.5, 2.5]
    content = pickle.dumps({"cells": {0: {"a": shared, "b": 1}, 1: {"a": shared, "b": 1}}}, protocol)
    with pytest.raises(DataError, match=r"made\.pickle: damaged .*one entry refers to what another one holds"):
        streamed(content)


@protocols
def test_what_ends_in_the_middle_is_an_error(protocol):
    content = pickle.dumps({"cells": {i: {"a": [i], "b": "text"} for i in range(9)}}, protocol)
    for length in range(0, len(content) - 1, 7):
        with pytest.raises(DataError, match=r"made\.pickle: damaged"):
            streamed(content[:length])


@protocols
def test_of_past_entries_little_is_kept(protocol):
    def entry(index: int) -> dict[str, object]:
        curve = {f"x-valid@{epoch}": np.float64(math.sqrt(index / (epoch + 1) + math.pi)) for epoch in range(50)}
        losses, seconds = [np.float64(index + math.e)] * 3, {i: 0.5 for i in range(9)}
        return {"arch_str": f"8:8:8:16:{index}", "accuracy": curve, "losses": losses, "seconds": seconds}

    content = pickle.dumps({"cells": {index: entry(index) for index in range(1, 200)}}, protocol)
    unpickler = streaming._Unpickler(io.BytesIO(content), ADMITTED, "cells")
    for index, found in unpickler.entries():
        if index is not None:
            assert found == entry(index)
            assert len(list(dict.keys(unpickler.memo))) < 600  # with the name of each
    assert len(unpickler.memo._rows) < 20
