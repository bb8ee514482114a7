"""The specification as data."""

from libs.f43.codes import CODES, NAMES, name_of
from libs.f43.schema import FILES, Form, Kind


def test_there_are_52_files_with_863_columns():
    assert len(FILES) == 52
    assert sum(len(spec.columns) for spec in FILES.values()) == 863


def test_every_file_has_a_key_and_says_whose_it_is():
    for spec in FILES.values():
        assert spec.names[0] == "HOSPCODE" or "HOSPCODE" in spec.names
        assert len(set(spec.names)) == len(spec.names)
        assert [spec.index[name] for name in spec.names] == list(range(len(spec.names)))
        assert all(spec.column(name).is_key for name in spec.key)


def test_files_are_sent_in_the_way_of_their_kind():
    assert FILES["PERSON"].kind is Kind.CUMULATIVE
    assert FILES["SERVICE"].kind is Kind.SERVICE
    assert FILES["LABFU"].kind is Kind.SEMI_SURVEY
    assert FILES["DATA_CORRECT"].kind is Kind.CORRECTION


def test_keys_are_those_of_the_sheet():
    assert FILES["PERSON"].key == ("HOSPCODE", "PID", "HOSPCODE9")
    assert FILES["SERVICE"].key == ("HOSPCODE", "PID", "SEQ", "DATE_SERV", "HOSPCODE9")
    assert FILES["DRUG_IPD"].key == ("HOSPCODE", "PID", "AN", "DATETIME_ADMIT", "TYPEDRUG", "DIDSTD", "HOSPCODE9")


def test_columns_know_their_form():
    person, service = FILES["PERSON"], FILES["SERVICE"]
    assert person.column("BIRTH").form is Form.DATE
    assert person.column("D_UPDATE").form is Form.DATETIME
    assert service.column("TIME_SERV").form is Form.TIME
    assert (service.column("PRICE").digits, service.column("PRICE").decimals) == (8, 2)
    assert FILES["CARD"].column("CID").width == 13
    assert FILES["POLICY"].column("POLICY_YEAR").form is Form.YEAR


def test_nine_digit_codes_came_with_version_2_4():
    new = {(spec.name, column.name) for spec in FILES.values() for column in spec.columns if column.came_with_v24}
    assert ("PERSON", "HOSPCODE9") in new
    assert ("SERVICE", "REFERINHOSP9") in new
    assert ("ADMISSION", "AN") not in new


def test_code_lists_belong_to_columns_and_have_names_where_shown():
    for file, column in CODES:
        assert column in FILES[file].index
    assert CODES["PERSON", "SEX"] == {"1", "2"}
    assert CODES["SERVICE", "INSTYPE"] is CODES["CARD", "INSTYPE_NEW"]
    assert len(CODES["PERSON", "PRENAME"]) == 504
    assert name_of("LABFU", "LABTEST", "0531601") == "Glycosylated hemoglobin whole blood (HbA1c)"
    assert name_of("PERSON", "SEX", "1") is None
    assert name_of("LABFU", "LABTEST", "nothing") is None
    assert len(NAMES["EPI", "VACCINETYPE"]) == 159
