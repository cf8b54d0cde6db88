"""The portraits' table, read in one place."""

from pathlib import Path

import numpy as np
import pytest

from gan_core.errors import BadValue
from gan_core.training.table import genders, numbers, read_table

TEXT = "id,person,age,gender\nb,Bea,41,F\na,Ada,,f\nc,Cem,old,M\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "portraits.csv"
    path.write_text(TEXT)
    return path


def test_rows_by_id_in_their_order_and_only_those_asked_for(table: Path) -> None:
    assert list(read_table(table)) == ["b", "a", "c"]
    assert list(read_table(table, iter(["c", "b", "x"]))) == ["b", "c"]


def test_what_is_unknown_is_no_number(table: Path) -> None:
    rows = list(read_table(table).values())
    np.testing.assert_array_equal(numbers(rows, "age"), [41, np.nan, np.nan])
    np.testing.assert_array_equal(numbers(rows, "year"), [np.nan] * 3)
    np.testing.assert_array_equal(genders([*rows, {}]), [1, 1, 0, np.nan])


def test_what_cannot_be_the_table_is_named(table: Path) -> None:
    with pytest.raises(BadValue, match="None of the pictures"):
        read_table(table, ["x"])
    table.write_text("name\nBea\n")
    with pytest.raises(BadValue, match='no column "id"'):
        read_table(table)
