"""Rebuilds the packaged tables of `libs/thai` from published code lists.

    python -m tools.thai_tables LOCATIONS.csv PLACES_DIRECTORY PREFIXES.csv

LOCATIONS.csv: `code`, `display`, the registry's codes of provinces, districts and sub-districts. PLACES_DIRECTORY:
`provinces.csv`, `districts.csv`, `sub_districts.csv` with roman names, postcodes and coordinates, and
`health_zones.csv` (province, name, zone; no header). PREFIXES.csv: `code`, `prename`, `prename_full`, `sex`.
"""

import csv
import sys
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "libs" / "thai" / "data"
_PROVINCE, _DISTRICT = 2, 4
_ARGUMENTS = 3


def _records(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle))


def _roman(name: str) -> str:
    return " ".join(name.removeprefix("Khet ").split())


def place_rows(locations: Path, places: Path) -> list[tuple[str, ...]]:
    """One row for each place: code, Thai, roman, postcode, latitude, longitude, 1 if the registry still uses the code.

    Codes that only the second source knows are kept: they were in use, and old records have them.
    """
    registry = {record["code"]: record["display"].strip() for record in _records(locations)}
    by_name = {name: code for code, name in registry.items() if len(code) == _PROVINCE}
    roman: dict[str, str] = {}
    thai: dict[str, str] = {}
    extra: dict[str, tuple[str, str, str]] = {}
    for record in _records(places / "provinces.csv"):
        roman[by_name[record["name_th"].strip()]] = _roman(record["name_en"])
    for record in _records(places / "districts.csv"):
        roman[record["id"]] = _roman(record["name_en"])
        thai[record["id"]] = record["name_th"].strip().removeprefix("เขต")
    for record in _records(places / "sub_districts.csv"):
        code = record["id"]
        roman[code] = _roman(record["name_en"])
        thai[code] = record["name_th"].strip()
        point = [f"{float(record[axis]):.4f}" if record[axis] else "" for axis in ("lat", "long")]
        extra[code] = (record["zip_code"], point[0], point[1])
    rows: list[tuple[str, ...]] = []
    for code in sorted({*registry, *thai}):
        name = registry.get(code) or thai[code]
        postcode, latitude, longitude = extra.get(code, ("", "", ""))
        is_current = "1" if code in registry else "0"
        rows.append((code, name, roman.get(code, ""), postcode, latitude, longitude, is_current))
    return rows


def region_rows(zones: Path) -> list[tuple[str, ...]]:
    """One row for each province: its code and its health region."""
    with zones.open(encoding="utf-8-sig", newline="") as handle:
        return sorted((code, str(int(zone))) for code, _, zone in csv.reader(handle) if code.isdigit() and code != "99")


def prefix_rows(path: Path) -> list[tuple[str, ...]]:
    """One row for each prefix: code, short form, full form, sex as 1, 2 or nothing."""
    return [
        (record["code"], record["prename"].strip(), record["prename_full"].strip(), record["sex"].strip())
        for record in _records(path)
    ]


def _write(name: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    lines = ["\t".join(header), *("\t".join(row) for row in rows)]
    (DATA / name).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    sys.stdout.write(f"{name}: {len(rows)} rows\n")


def main(arguments: list[str]) -> int:
    """Writes the three tables and tells their size; answers 2 when called without its three arguments."""
    if len(arguments) != _ARGUMENTS:
        sys.stderr.write(__doc__ or "")
        return 2
    locations, places, prefixes = map(Path, arguments)
    header = ("code", "name_th", "name_en", "postcode", "latitude", "longitude", "current")
    _write("places.tsv", header, place_rows(locations, places))
    _write("health_regions.tsv", ("province", "region"), region_rows(places / "health_zones.csv"))
    _write("prefixes.tsv", ("code", "short", "full", "sex"), prefix_rows(prefixes))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
