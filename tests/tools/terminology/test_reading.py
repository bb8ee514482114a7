"""Publishers' files, in small made-up ones of the same form."""

import zipfile

import orjson
import pytest
from google.protobuf import json_format
from nhip.records.v1 import terminology_pb2 as pb

from tools.nhip import terminology as command
from tools.nhip.edge import EdgeError
from tools.terminology import Source, SourceError, rows_of

_MESSAGES = {"concepts": pb.Concept, "mappings": pb.Mapping, "interactions": pb.Interaction}


def read(source, form, kind="concepts"):
    """The rows, which are what the RPC takes."""
    rows = list(rows_of(source, form, kind))
    for row in rows:
        json_format.ParseDict(row, _MESSAGES[kind]())
    return rows


def written(tmp_path, name, text, encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return Source(path)


def archive(tmp_path, **files):
    path = tmp_path / "release.zip"
    with zipfile.ZipFile(path, "w") as made:
        for name, text in files.items():
            made.writestr(f"Release/{name}", text)
    return Source(path)


def test_a_table_with_thai_names_parents_and_further_columns(tmp_path):
    text = "code,display,display_th,parent,chapter\nA00,Cholera,อหิวาตกโรค,A00-A09,I\nA00.0,Cholera biovar,,A00,\n"
    first, second = read(written(tmp_path, "icd10tm.csv", text), "csv")
    assert first["designations"] == [{"language": "th", "text": "อหิวาตกโรค"}]
    assert (first["parents"], first["properties"]) == (["A00-A09"], [{"name": "chapter", "text": "I"}])
    assert (second["parents"], second["designations"], second["properties"]) == (["A00"], [], [])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp874"])
def test_headings_of_publishers_and_the_thai_code_page(tmp_path, encoding):
    (row,) = read(
        written(tmp_path, "tmt.csv", "TMTID,FSN,Manufacturer\n900001,อะม็อกซีซิลลิน 500 mg,ACME\n", encoding), "csv"
    )
    assert (row["code"], row["display"]) == ("900001", "อะม็อกซีซิลลิน 500 mg")
    assert row["properties"] == [{"name": "Manufacturer", "text": "ACME"}]


def test_other_headings_are_named(tmp_path):
    source = written(tmp_path, "own.tsv", "nr\twhat\n1\tone\n")
    with pytest.raises(SourceError, match="no column holds the code"):
        read(source, "csv")
    assert read(Source(source.path, {"code": "nr", "display": "what"}), "csv")[0]["display"] == "one"
    with pytest.raises(SourceError, match="there is no column missing"):
        read(Source(source.path, {"code": "missing"}), "csv")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("code,display\n,nothing\n", "line 2: there is no code"),
        ("code\nA,B,C\n", "line 2: more cells"),
        ("", "no heading"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(tmp_path, text, said):
    with pytest.raises(SourceError, match=said):
        read(written(tmp_path, "bad.csv", text), "csv")


def test_maps_and_interactions(tmp_path):
    text = "source_system,source_code,target_system,target_code\nurn:tmt,1,http://www.whocc.no/atc,J01CA04\n"
    (row,) = read(written(tmp_path, "map.csv", text), "csv", "mappings")
    assert (row["sourceCode"], row["targetCode"]) == ("1", "J01CA04")
    text = "atc_a,atc_b,severity,direction,text_th,text_en\nB01AA,M01A,major,,เลือดออก,bleeding\n"
    (row,) = read(written(tmp_path, "interactions.csv", text), "csv", "interactions")
    assert (row["direction"], row["textTh"]) == ("both", "เลือดออก")
    with pytest.raises(SourceError, match="line 2: targetCode is empty"):
        read(
            written(tmp_path, "map.csv", "source_system,source_code,target_system,target_code\na,b,c,\n"),
            "csv",
            "mappings",
        )


def test_resources_of_fhir(tmp_path):
    system = {
        "resourceType": "CodeSystem",
        "concept": [
            {
                "code": "1",
                "display": "One",
                "concept": [{"code": "2", "property": [{"code": "inactive", "valueBoolean": True}]}],
            }
        ],
    }
    rows = read(written(tmp_path, "cs.json", orjson.dumps(system).decode()), "fhir")
    assert [(one["code"], one["parents"], one["isInactive"]) for one in rows] == [("1", [], False), ("2", ["1"], True)]
    with pytest.raises(SourceError, match="this is no ConceptMap"):
        read(written(tmp_path, "cs.json", orjson.dumps(system).decode()), "fhir", "mappings")
    with pytest.raises(SourceError, match="line 1"):
        read(written(tmp_path, "broken.json", "{"), "fhir")


CLAML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE ClaML [<!ENTITY secret SYSTEM "file:///etc/hostname">]>
<ClaML version="2.0.0">
  <Class code="A00-A09" kind="block"><SuperClass code="I"/>
    <Rubric kind="preferred"><Label xml:lang="en">Intestinal <Term>infections</Term></Label></Rubric></Class>
  <Class code="A00" kind="category"><SuperClass code="A00-A09"/>
    <Rubric kind="preferred"><Label xml:lang="en">Cholera</Label><Label xml:lang="th">อหิวาตกโรค</Label></Rubric>
    <Rubric kind="definition"><Label xml:lang="en">&secret;</Label></Rubric></Class>
</ClaML>"""


def test_claml_with_its_hierarchy_and_without_what_its_entities_would_fetch(tmp_path):
    first, second = read(written(tmp_path, "icd10.xml", CLAML), "claml")
    assert (first["display"], first["parents"], first["properties"]) == (
        "Intestinal infections",
        ["I"],
        [{"name": "kind", "text": "block"}],
    )
    assert second["designations"] == [{"language": "th", "text": "อหิวาตกโรค"}]
    assert second["definition"] in {"", "&secret;"}
    with pytest.raises(SourceError, match="no sound XML"):
        read(written(tmp_path, "bad.xml", "<ClaML><Class></ClaML>"), "claml")


def test_a_release_of_loinc(tmp_path):
    head = '"LOINC_NUM","COMPONENT","SHORTNAME","LONG_COMMON_NAME","STATUS"\n'
    text = head + '"1-1","Hb","Hgb Bld","Hemoglobin in Blood","ACTIVE"\n"2-9","Old","","Old one","DEPRECATED"\n'
    first, second = read(archive(tmp_path, **{"LoincTable/Loinc.csv": text}), "loinc")
    assert (first["display"], first["isInactive"], second["isInactive"]) == ("Hemoglobin in Blood", False, True)
    with pytest.raises(SourceError, match=r"there is no .*loinc\.csv"):
        read(archive(tmp_path, **{"readme.txt": ""}), "loinc")


def test_a_snapshot_of_snomed_ct(tmp_path):
    head = "id\teffectiveTime\tactive\tmoduleId"
    release = archive(
        tmp_path,
        **{
            "sct2_Concept_Snapshot_X.txt": (
                f"{head}\tdefinitionStatusId\n138875005\t0\t1\t0\t0\n404684003\t0\t1\t0\t0\n999\t0\t0\t0\t0\n"
            ),
            "sct2_Description_Snapshot_X.txt": (
                f"{head}\tconceptId\tlanguageCode\ttypeId\tterm\tcaseSignificanceId\n"
                "1\t0\t1\t0\t404684003\ten\t900000000000003001\tClinical finding (finding)\t0\n"
                '2\t0\t1\t0\t404684003\ten\t900000000000013009\tClinical "finding"\t0\n'
            ),
            "sct2_Relationship_Snapshot_X.txt": (
                f"{head}\tsourceId\tdestinationId\trelationshipGroup\ttypeId\tcharacteristicTypeId\tmodifierId\n"
                "3\t0\t1\t0\t404684003\t138875005\t0\t116680003\t0\t0\n"
            ),
        },
    )
    rows = {one["code"]: one for one in read(release, "rf2")}
    assert (rows["404684003"]["display"], rows["404684003"]["parents"]) == ("Clinical finding (finding)", ["138875005"])
    assert rows["404684003"]["designations"] == [{"language": "en", "text": 'Clinical "finding"'}]
    assert rows["999"]["isInactive"] is True


class FakeEdge:
    """Keeps parts as the platform does, and can go away in the middle."""

    def __init__(self, fails_at=None):
        self.rows, self.fails_at, self.parts = 0, fails_at, []

    def get(self, _):
        held = {"kind": "concepts", "name": "n", "version": "1", "digest": "d", "rows": str(self.rows)}
        is_complete = any(is_last for *_, is_last in self.parts)
        return {"loads": [{**held, "isComplete": is_complete}] if self.rows else []}

    def post(self, path, body):
        if len(self.parts) == self.fails_at:
            self.fails_at = None
            raise EdgeError("gone")
        self.parts.append((path, int(body["part"]["offset"]), len(body["concepts"]), body["part"]["isLast"]))
        self.rows = max(self.rows, int(body["part"]["offset"]) + len(body["concepts"]))
        return {"load": {"rows": str(self.rows)}}


def rows(count):
    return iter({"code": str(number)} for number in range(count))


def test_a_file_is_sent_in_parts_of_which_one_is_the_last(monkeypatch):
    monkeypatch.setattr(command, "ROWS_OF_A_PART", 2)
    edge = FakeEdge()
    part = {"name": "n", "version": "1", "digest": "d"}
    assert command.send(edge, "concepts", part, rows(4))["rows"] == "4"
    path = "/v1/terminology/concepts:load"
    assert edge.parts == [(path, 0, 2, False), (path, 2, 2, True)]
    with pytest.raises(SourceError, match="no row"):
        command.send(FakeEdge(), "concepts", part, rows(0))


def test_a_load_that_was_cut_off_goes_on_where_it_stopped(monkeypatch):
    monkeypatch.setattr(command, "ROWS_OF_A_PART", 2)
    edge = FakeEdge(fails_at=1)
    part = {"name": "n", "version": "1", "digest": "d"}
    with pytest.raises(EdgeError):
        command.send(edge, "concepts", part, rows(5))
    assert edge.rows == 2
    assert command.send(edge, "concepts", part, rows(5))["rows"] == "5"
    assert [offset for _, offset, _, _ in edge.parts] == [0, 2, 4]
    # The same again sends nothing.
    assert command.send(edge, "concepts", part, rows(5))["rows"] == "5"
    assert len(edge.parts) == 3
