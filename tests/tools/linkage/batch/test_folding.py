"""Folding: titles, placeholders and sounds."""

import duckdb
import pytest
from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler

from libs.thai import names
from tools.linkage.batch import folding
from tools.population import naming


def test_thai_names_are_as_alike_in_duckdb_as_letter_by_letter():
    told = [names.match_key(name.thai) for name in naming.given_names("female")[:60]]
    connection = duckdb.connect()
    query = "select jaro_winkler_similarity($1, $2), damerau_levenshtein($1, $2)"
    for one, other in zip(told, told[7:], strict=False):
        alike, distance = connection.execute(query, [one, other]).fetchall()[0]
        assert alike == pytest.approx(JaroWinkler.similarity(one, other), abs=1e-12)
        assert distance == DamerauLevenshtein.distance(one, other)
    assert connection.execute(query, ["กขค", "มยร"]).fetchall() == [(0.0, 3)]


def test_titles_and_placeholders_are_no_names():
    rows = folding.fold_given(["นายสมชาย", "สมชาย", "ไม่ทราบ", "บุตรนางสมศรี", "น.ส.มาลี"])
    assert rows[0][1] == rows[1][1] != ""
    assert (rows[0][4], rows[1][4], rows[4][4]) == (1, 0, 2)
    assert rows[2][1] == rows[3][1] == ""
    assert folding.fold_families(["-"])[0][1:4] == ("", "", "")
