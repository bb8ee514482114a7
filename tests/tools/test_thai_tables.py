"""The tables of libs/thai, rebuilt from published code lists."""

from pathlib import Path

from tools import thai_tables


def sources(folder: Path) -> list[str]:
    places = folder / "places"
    places.mkdir()
    stamp = "2019-08-09T03:33:09.000+07:00,,"
    files = {
        folder / "locations.csv": "code,parent,display\n10,,กรุงเทพมหานคร\n1001,10,พระนคร\n100101,1001,วัง\n",
        places / "provinces.csv": f"id,name_th,name_en,geography_id,x,y,z\n1,กรุงเทพมหานคร,Bangkok,2,{stamp}\n",
        places / "districts.csv": f"id,name_th,name_en,province_id,x,y,z\n1001,เขตพระนคร,Khet Phra Nakhon,1,{stamp}\n",
        places / "sub_districts.csv": "id,zip_code,name_th,name_en,district_id,lat,long\n"
        "100101,10200,วัง,Wang,1001,13.75001,100.5\n100199,10200,เก่า,Kao,1001,,\n",
        places / "health_zones.csv": "10,กรุงเทพมหานคร,13\n99,ไม่ทราบ,99\n",
        folder / "prefixes.csv": "code,prename,prename_full,sex\n001,ด.ช.,เด็กชาย,1\n120,ม.จ.,หม่อมเจ้า,\n",
    }
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return [str(folder / "locations.csv"), str(places), str(folder / "prefixes.csv")]


def test_the_three_tables_are_written(tmp_path: Path, monkeypatch, capsys):
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setattr(thai_tables, "DATA", data)
    assert thai_tables.main(sources(tmp_path)) == 0
    assert "places.tsv: 4 rows" in capsys.readouterr().out
    assert (data / "places.tsv").read_text(encoding="utf-8").splitlines()[1:] == [
        "10\tกรุงเทพมหานคร\tBangkok\t\t\t\t1",
        "1001\tพระนคร\tPhra Nakhon\t\t\t\t1",
        "100101\tวัง\tWang\t10200\t13.7500\t100.5000\t1",
        "100199\tเก่า\tKao\t10200\t\t\t0",
    ]
    assert (data / "health_regions.tsv").read_text(encoding="utf-8").splitlines()[1:] == ["10\t13"]
    assert (data / "prefixes.tsv").read_text(encoding="utf-8").splitlines()[1:] == [
        "001\tด.ช.\tเด็กชาย\t1",
        "120\tม.จ.\tหม่อมเจ้า\t",
    ]


def test_without_arguments_it_says_what_it_wants(capsys):
    assert thai_tables.main([]) == 2
    assert "LOCATIONS.csv" in capsys.readouterr().err
