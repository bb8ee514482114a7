"""The status page as HTML: in Thai and English, without a script, and without anything of anybody."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from html import escape
from typing import Final

from libs.clock import BANGKOK
from services.edge.status.measured import NOT_CONNECTED, WINDOWS, Measured, Promise

# What each part is for, to who does not know the platform from inside: Thai, English.
PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "edge": ("ช่องทางเชื่อมต่อ", "The door that programs use"),
    "identity": ("การยืนยันตัวตนและความยินยอม", "Login and consent"),
    "patient_index": ("ดัชนีผู้ป่วย", "Patient index"),
    "records": ("ข้อมูลสุขภาพ", "Health records"),
    "claims": ("การเบิกจ่าย", "Claims"),
    "surveillance": ("การเฝ้าระวังโรค", "Disease surveillance"),
    "exchange": ("การแลกเปลี่ยนแฟ้ม", "Files"),
    "audit": ("บันทึกการเข้าถึง", "Log of every access"),
}
_SLOS: Final[Mapping[str, tuple[str, str]]] = {
    "availability": ("สำเร็จ", "answered without a fault of ours"),
    "latency": ("ทันเวลา", "answered in time"),
}
_WINDOWS: Final[Mapping[str, str]] = {
    "1h": '<span lang="th">ชั่วโมงล่าสุด</span> · hour',
    "1d": '<span lang="th">วันล่าสุด</span> · day',
    "30d": '<span lang="th">30 วัน</span> · 30 days',
}
_UNKNOWN: Final = "–"
_WHOLE: Final = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta http-equiv="refresh" content="60">
  <title>NHIP · status</title>
  <link rel="stylesheet" href="/docs/docs.css">
</head>
<body class="landing">
  <main>
    <h1><span lang="th">สถานะของแพลตฟอร์ม</span> · Status</h1>
    <p><strong>{summary}</strong></p>
    <h2><span lang="th">ส่วนประกอบ</span> · Parts</h2>
    <table>
{parts}
    </table>
    <h2><span lang="th">สิ่งที่สัญญาไว้</span> · What is promised</h2>
{promises}
    <p>{moment}</p>
  </main>
</body>
</html>
"""


def html(states: Mapping[str, bool], measured: Measured, now: datetime) -> str:
    """The page. `states` are the parts by name, and whether each answers."""
    return _WHOLE.format(
        summary=_summary(states, measured),
        parts="\n".join(_part(name, is_well=states[name]) for name in PARTS),
        promises=_promises(measured),
        moment=f"{now.astimezone(BANGKOK):%Y-%m-%d %H:%M:%S} (UTC+7)",
    )


def _summary(states: Mapping[str, bool], measured: Measured) -> str:
    if not all(states.values()):
        return '<span lang="th">บางส่วนขัดข้อง</span> · Some parts do not answer.'
    if any(promise.left is not None and promise.left < 0 for promise in measured.promises):
        return '<span lang="th">ทุกส่วนทำงาน แต่ต่ำกว่าที่สัญญาไว้</span> · Every part answers; some promise of the month is broken.'
    return '<span lang="th">ทุกส่วนทำงานปกติ</span> · Every part answers.'


def _part(name: str, *, is_well: bool) -> str:
    thai, english = PARTS[name]
    state = '<span lang="th">ปกติ</span> · works' if is_well else '<span lang="th">ขัดข้อง</span> · does not answer'
    return f'      <tr><th><span lang="th">{thai}</span> · {english}</th><td>{state}</td></tr>'


def _promises(measured: Measured) -> str:
    rows = [_row(promise) for promise in worst(measured.promises)]
    if not rows:
        why = {
            NOT_CONNECTED.silence: "no monitoring is connected to this door",
            "": "monitoring has nothing to tell yet",
        }.get(measured.silence, "monitoring did not answer")
        return f'    <p><span lang="th">ไม่ได้วัด</span> · Not measured: {why}.</p>'
    heads = "".join(f"<th>{_WINDOWS[window]}</th>" for window in WINDOWS)
    budget = '<span lang="th">งบความผิดพลาดที่เหลือ</span> · error budget left'
    head = f"      <tr><th></th>{heads}<th>{budget}</th></tr>"
    note = "Of a part with several promises the one that is kept worst. A dash: nothing was called."
    return "\n".join(["    <table>", head, *rows, "    </table>", f"    <p>{note}</p>"])


def worst(promises: Iterable[Promise]) -> list[Promise]:
    """For each part and kind of promise the one with the least budget left, in the order of the parts."""
    chosen: dict[tuple[str, str], Promise] = {}
    for promise in promises:
        key = promise.service.replace("-", "_"), promise.slo
        if key[0] in PARTS and promise.slo in _SLOS and _left(promise) < _left(chosen.get(key)):
            chosen[key] = promise
    return [chosen[name, slo] for name in PARTS for slo in _SLOS if (name, slo) in chosen]


def _left(promise: Promise | None) -> float:
    if promise is None:
        return float("inf")
    # Known for no month yet: before none, behind all that are known.
    return 1e9 if promise.left is None else promise.left


def _row(promise: Promise) -> str:
    thai, english = PARTS[promise.service.replace("-", "_")]
    of_thai, of_english = _SLOS[promise.slo]
    promised = _percent(1 - promise.allowed)
    what = f'<span lang="th">{thai}: {of_thai} {promised}</span> · {english}: {promised} {of_english}'
    cells = "".join(f"<td>{_good(promise.bad.get(window))}</td>" for window in WINDOWS)
    return f"      <tr><th>{what}</th>{cells}<td>{_budget(promise.left)}</td></tr>"


def _good(bad: float | None) -> str:
    return _UNKNOWN if bad is None else _percent(1 - bad)


def _budget(left: float | None) -> str:
    if left is None:
        return _UNKNOWN
    if left < 0:
        return '<span lang="th">หมดแล้ว</span> · used up'
    share = min(left, 1.0)
    return f'<meter min="0" max="1" low="0.25" value="{share:.3f}"></meter> {_percent(share, 0)}'


def _percent(share: float, digits: int = 3) -> str:
    """Cut and not rounded: 99.9996 % is not 100."""
    scale = 10**digits
    cut = int(share * 100 * scale + 1e-6) / scale
    text = f"{cut:.{digits}f}"
    return escape(f"{text.rstrip('0').rstrip('.') if digits else text} %")
