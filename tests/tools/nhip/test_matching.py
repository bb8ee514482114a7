"""`nhip linkage match`: tables that nobody prepared."""

import csv
import json
import random

from click.testing import CliRunner

from tools.nhip.main import main
from tools.thaibench import Ids, Plan, write

GIVEN = """anna benjamin clara david emily frederick grace henry isabel james katherine leonard margaret nathan
olivia peter""".split()  # noqa: SIM905 a page of words
FAMILY = """abbott baxter carlisle dawson eldridge fletcher goddard hawkins ingram jarvis kendrick lambert mortimer
norwood""".split()  # noqa: SIM905 as above
STREETS = ("acacia", "birch", "cedar", "dogwood", "elm", "fir", "gum", "hazel", "ironbark", "juniper")


def run(*arguments: str):
    return CliRunner().invoke(main, ["linkage", "match", *arguments])


def slip(text: str, lot: random.Random) -> str:
    """A letter left out."""
    place = lot.randrange(len(text))
    return text[:place] + text[place + 1 :]


def people(count: int, lot: random.Random) -> list[dict[str, str]]:
    return [
        {
            "who": str(number),
            "Forename": lot.choice(GIVEN),
            "Last": lot.choice(FAMILY) + lot.choice(("", "son", "er", "ley")),
            "Birthday": f"{lot.randrange(1, 29)}/{lot.randrange(1, 13)}/{lot.randrange(1930, 2015)}",
            "Street": f"{lot.randrange(1, 99)} {lot.choice(STREETS)} road",
            "Post": str(lot.randrange(1000, 1400)),
        }
        for number in range(count)
    ]


def again(person: dict[str, str], lot: random.Random) -> dict[str, str]:
    """The same person as another clerk writes them: a slip, and something missing."""
    told = dict(person)
    wrong = lot.choice(("Forename", "Last", "Street"))
    told[wrong] = slip(told[wrong], lot)
    if lot.random() < 0.3:
        told[lot.choice(("Street", "Post"))] = ""
    return told


def save(path, rows, encoding="utf-8"):
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def rows_of(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_two_files_of_people_elsewhere_are_linked_and_held_against_the_truth(tmp_path):
    lot = random.Random(5)  # noqa: S311 a lot that falls the same each time
    everybody = people(900, lot)
    one = save(tmp_path / "a.csv", everybody[:600])
    other = save(tmp_path / "b.csv", [again(person, lot) for person in everybody[300:]])
    answer = run(one, other, "--one-to-one", "--truth", "who", "--out", str(tmp_path / "out"))
    assert answer.exit_code == 0, answer.output
    matrix = json.loads((tmp_path / "out" / "matrix.json").read_text())
    assert matrix["precision"] > 0.99
    assert matrix["recall"] > 0.95
    assert matrix["true_positive"] + matrix["false_negative"] == 300
    pairs = rows_of(tmp_path / "out" / "pairs.csv")
    assert sum(row["grade"] == "certain" for row in pairs) == matrix["true_positive"] + matrix["false_positive"]
    assert float(pairs[0]["weight"]) > float(pairs[-1]["weight"])
    clusters = rows_of(tmp_path / "out" / "clusters.csv")
    assert [row["id"] for row in clusters if row["file"] == "2"] == [str(place) for place in range(1, 601)]


def test_thai_people_under_thai_headers_are_deduplicated_by_the_model_of_thailand(tmp_path):
    made = write(Plan(3_000, 29, Ids.WITHOUT), tmp_path / "bench")
    with made.registrations[0].open(encoding="utf-8") as sent, made.truth.open(encoding="utf-8") as truth:
        rows = [
            {
                "คน": told["person_id"],
                "ชื่อ": row["prefix"] + row["given"],
                "นามสกุล": row["family"],
                "เพศ": {"male": "ชาย", "female": "หญิง"}.get(row["sex"], ""),
                "วันเกิด": row["birth_date"],
                "โทรศัพท์": row["phone"],
                "รหัสตำบล": row["place_code"],
            }
            for row, told in zip(csv.DictReader(sent), csv.DictReader(truth), strict=True)
        ]
    path = save(tmp_path / "thai.csv", rows, "utf-8-sig")
    answer = run(path, "--truth", "คน", "--out", str(tmp_path / "out"))
    assert answer.exit_code == 0, answer.output
    matrix = json.loads((tmp_path / "out" / "matrix.json").read_text())
    assert matrix["precision"] > 0.99
    assert matrix["recall"] > 0.9


def test_ids_that_two_rows_share_and_roles_that_do_not_exist_are_refused(tmp_path):
    path = save(tmp_path / "a.csv", [{"ref": "7", "name": "Ann"}, {"ref": "7", "name": "Bob"}])
    shared = run(path, "--column", "ref=id", "--out", str(tmp_path / "out"))
    assert (shared.exit_code, "1 rows have a ref that another row has" in shared.output) == (1, True)
    unknown = run(path, "--column", "ref=nothing", "--out", str(tmp_path / "out"))
    assert (unknown.exit_code, "NAME=ROLE" in unknown.output) == (1, True)
    many = run(path, path, path, "--out", str(tmp_path / "out"))
    assert (many.exit_code, "two are linked" in many.output) == (1, True)


def test_rows_of_which_nothing_tells_them_apart_are_refused(tmp_path):
    path = save(tmp_path / "a.csv", [{"name": "-"}, {"name": "unknown"}])
    answer = run(path, "--out", str(tmp_path / "out"))
    assert (answer.exit_code, "nothing in it tells one record from another" in answer.output) == (1, True)
