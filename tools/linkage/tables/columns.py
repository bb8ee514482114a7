"""What the columns of a table are: by their names, in English and Thai, and else by what they hold."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

from tools.linkage.tables.folding import letters_of
from tools.linkage.tables.reading import Table, TableError


class Role(Enum):
    """What a column is, and so how it is compared."""

    ID = "id"
    """Names the record; never compared."""
    GIVEN = "given"
    FAMILY = "family"
    NAME = "name"
    """Given and family name in one."""
    GIVEN_ROMAN = "given-roman"
    FAMILY_ROMAN = "family-roman"
    BIRTH = "birth"
    SEX = "sex"
    PHONE = "phone"
    NUMBER = "number"
    """Issued to one person: a citizen id, a passport, an address of mail."""
    PLACE = "place"
    """A registry's code of a home, six digits."""
    CODE = "code"
    """Short and written one way: a postcode, the number of a house."""
    KIND = "kind"
    """One of a few."""
    TEXT = "text"
    """Words: a street, a town, whatever else."""
    IGNORED = "ignored"


Roles = Mapping[str, Role]

_NAMED: Final[Mapping[Role, str]] = {
    Role.ID: "id recid recordid uniqueid uid rowid rowno no seq index key ลำดับ ลำดับที่ รหัส รหัสระเบียน",
    Role.GIVEN: "givenname given firstname first fname forename givennames firstnameth fnameth nameth ชื่อ ชื่อจริง ชื่อตัว ชื่อไทย",
    Role.FAMILY: "surname family familyname lastname last lname sname surnameth lastnameth lnameth นามสกุล ชื่อสกุล สกุล นามสกุลไทย",
    Role.NAME: "name fullname personname patientname ชื่อนามสกุล ชื่อสกุลเต็ม ชื่อเต็ม ชื่อผู้ป่วย ชื่อและนามสกุล",
    Role.GIVEN_ROMAN: "givenroman firstnameen fnameen givennameen firstnameeng ชื่ออังกฤษ ชื่อภาษาอังกฤษ",
    Role.FAMILY_ROMAN: "familyroman lastnameen lnameen surnameen lastnameeng นามสกุลอังกฤษ นามสกุลภาษาอังกฤษ",
    Role.BIRTH: "dateofbirth dob birthdate birth birthday born bdate bday วันเกิด วันเดือนปีเกิด วดปเกิด วันเดือนปเกิด",
    Role.SEX: "sex gender เพศ",
    Role.PHONE: "phone telephone tel mobile phonenumber telno mobileno phone1 โทรศัพท์ เบอร์โทร เบอร์โทรศัพท์ โทร มือถือ หมายเลขโทรศัพท์",
    Role.NUMBER: "socsecid ssn nationalid citizenid cid pid nid idcard idno passport passportno otherid email mail nhsnumber "
    "medicare hn เลขบัตรประชาชน เลขประจำตัวประชาชน บัตรประชาชน เลขประชาชน หนังสือเดินทาง เลขหนังสือเดินทาง อีเมล",
    Role.PLACE: "placecode subdistrictcode tamboncode addresscode รหัสตำบล รหัสที่อยู่",
    Role.IGNORED: "prefix title cluster clusterid entity entityid personid trueid truth groundtruth label match ismatch source "
    "sourcedate sourcedataset facility age คำนำหน้า คำนำหน้าชื่อ อายุ",
}
_BY_NAME: Final = {letters_of(name): role for role, names in _NAMED.items() for name in names.split()}
_CODE_LETTERS: Final = 8
_FEW: Final = 12
_CODE_SHARE: Final = 0.8
_SAMPLE: Final = 5_000
_ONCE: Final = (
    Role.GIVEN,
    Role.FAMILY,
    Role.NAME,
    Role.GIVEN_ROMAN,
    Role.FAMILY_ROMAN,
    Role.BIRTH,
    Role.SEX,
    Role.PHONE,
)
_COMPARED: Final = frozenset(Role) - {Role.ID, Role.IGNORED}


def guess(tables: Sequence[Table], told: Roles, truth: str = "") -> dict[str, Role]:
    """The role of each column that the tables share; those of `told` stand. `truth` is no column to compare.

    Raises TableError where a column that was told is not there, or nothing is left to compare.
    """
    shared = [name for name in tables[0].columns if all(name in table.columns for table in tables)]
    for name in (*told, *([truth] if truth else ())):
        if name not in shared:
            missing = next(table for table in tables if name not in table.columns)
            raise TableError(f"{missing.path}: no column {name}")
    roles: dict[str, Role] = {}
    taken = set(told.values())
    for name in shared:
        role = told.get(name) or (Role.IGNORED if name == truth else _role_of(name, tables, taken))
        roles[name] = role
        taken.add(role)
    if Role.GIVEN in taken and Role.FAMILY not in taken and Role.NAME not in taken:
        # `ชื่อ` alone is the whole name, and so is what stands beside no family name.
        roles = {name: Role.NAME if role is Role.GIVEN and name not in told else role for name, role in roles.items()}
    if not _COMPARED & set(roles.values()):
        raise TableError(
            f"{tables[0].path}: no column to compare" + (" that both files have" if len(tables) > 1 else "")
        )
    return roles


def _role_of(name: str, tables: Sequence[Table], taken: set[Role]) -> Role:
    role = _BY_NAME.get(letters_of(name))
    if role is Role.ID and (Role.ID in taken or not all(_names_each(table, name) for table in tables)):
        role = None
    if role is not None and not (role in _ONCE and role in taken):
        return role
    return _by_values([value for table in tables for value in table.values(name)[:_SAMPLE] if value])


def _names_each(table: Table, name: str) -> bool:
    values = table.values(name)
    return "" not in values and len(set(values)) == len(values)


def _by_values(values: Sequence[str]) -> Role:
    kinds = len(set(values))
    if kinds <= 1:
        return Role.IGNORED
    if kinds <= _FEW:
        return Role.KIND
    short = sum(len(value) <= _CODE_LETTERS and any(letter.isdigit() for letter in value) for value in values)
    return Role.CODE if short >= _CODE_SHARE * len(values) else Role.TEXT
