"""The waterfall picture of an explanation, as SVG: each bar begins where the last one ended.

Readable without colour (every bar carries its sign and number), by screen readers (title, description, a label for each
row), and in the dark. No script, no font and no picture from elsewhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from services.patient_index.rules.explaining import Explanation, Language, bits, word

CONTENT_TYPE = "image/svg+xml"
WIDTH = 880
_TEXT_WIDTH = 360
_VALUE_WIDTH = 70
_ROW = 44
_TOP = 84
_BOTTOM = 48
_BAR = 18
_TITLE: Mapping[Language, str] = {
    "th": "เหตุใดจึงคิดว่าทะเบียนสองรายการนี้เป็นคนเดียวกันหรือไม่ใช่",
    "en": "Why these two registrations are thought to be one person, or not",
}
_AXIS: Mapping[Language, tuple[str, str]] = {
    "th": ("◀ คนละคน", "คนเดียวกัน ▶"),
    "en": ("◀ two people", "one person ▶"),
}
_STYLE = """
text{font-family:Sarabun,'Noto Sans Thai','Leelawadee UI',Loma,Tahoma,sans-serif;fill:#1b1f24}
.t{font-size:18px;font-weight:600}.c{font-size:14px}.n{font-size:15px;font-weight:600}.f{font-size:13px;fill:#57606a}
.v{font-size:14px;font-variant-numeric:tabular-nums}.bg{fill:#fff}.z{stroke:#6e7781;stroke-width:1}
.g{stroke:#d0d7de;stroke-width:1}.l{stroke:#8c959f;stroke-width:1;stroke-dasharray:2 3}
.p{fill:#1a7f5a}.m{fill:#b5482a}.s{fill:#57606a}.e{fill:#1f5fa8}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.f{fill:#9aa4ae}.bg{fill:#0d1117}.g{stroke:#30363d}
.p{fill:#3fb98a}.m{fill:#ec8a68}.s{fill:#8c959f}.e{fill:#6cb0f5}.z,.l{stroke:#8c959f}}
""".replace("\n", "")


@dataclass(frozen=True, slots=True)
class _Bar:
    name: str
    finding: str
    begin: float
    end: float
    kind: str

    @property
    def label(self) -> str:
        return bits(self.end - self.begin)


class _Scale:
    """From bits to the picture's units."""

    def __init__(self, values: Sequence[float]) -> None:
        low, high = min(*values, 0.0), max(*values, 0.0)
        margin = max((high - low) * 0.04, 1.0)
        self._low, self._span = low - margin, high - low + 2 * margin
        self.left, self.right = _TEXT_WIDTH, WIDTH - _VALUE_WIDTH

    def __call__(self, value: float) -> float:
        return round(self.left + (value - self._low) / self._span * (self.right - self.left), 1)


def draw(explanation: Explanation) -> str:
    """The picture."""
    language = explanation.language
    bars = list(_bars(explanation))
    at = _Scale([value for bar in bars for value in (bar.begin, bar.end)])
    height = _TOP + _ROW * len(bars) + _BOTTOM
    title = _TITLE[language]
    told = "; ".join(f"{bar.name}: {bar.finding} ({bar.label})" for bar in bars)
    rows = "".join(_row(bar, number, at, bars) for number, bar in enumerate(bars))
    zero, bottom = at(0.0), height - _BOTTOM
    no, yes = _AXIS[language]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-labelledby="title told" lang={quoteattr(language)}>'
        f'<title id="title">{escape(title)}</title><desc id="told">{escape(explanation.conclusion)}. {escape(told)}</desc>'
        f'<style>{_STYLE}</style><rect class="bg" width="100%" height="100%"/>'
        f'<text class="t" x="20" y="34">{escape(title)}</text>'
        f'<text class="c" x="20" y="60">{escape(explanation.conclusion)}</text>'
        f'<line class="z" x1="{zero}" y1="{_TOP - 6}" x2="{zero}" y2="{bottom + 6}"/>'
        f'<g role="list">{rows}</g>'
        f'<text class="f" x="{zero - 8}" y="{bottom + 26}" text-anchor="end">{escape(no)}</text>'
        f'<text class="f" x="{zero + 8}" y="{bottom + 26}">{escape(yes)}</text></svg>'
    )


def _bars(explanation: Explanation) -> Iterator[_Bar]:
    language = explanation.language
    prior = word("fields", "prior", language), word("levels", "prior", language)
    yield _Bar(*prior, 0.0, explanation.prior, "s")
    begin = explanation.prior
    for step in explanation.steps:
        kind = "s" if bits(step.weight) == "0" else "p" if step.weight > 0 else "m"
        yield _Bar(step.name, step.finding, begin, step.total, kind)
        begin = step.total
    grade = word("grades", explanation.match.grade.name.lower(), language)
    yield _Bar(word("fields", "total", language), grade, 0.0, begin, "e")


def _row(bar: _Bar, number: int, at: _Scale, bars: Sequence[_Bar]) -> str:
    top = _TOP + _ROW * number
    middle = top + _ROW // 2
    left, right = sorted((at(bar.begin), at(bar.end)))
    spoken = f"{bar.name}: {bar.finding}, {bar.label}"
    is_last = number == len(bars) - 1
    rule = "" if is_last else f'<line class="g" x1="20" y1="{top + _ROW}" x2="{WIDTH - 20}" y2="{top + _ROW}"/>'
    joint = ""
    if not is_last and bars[number + 1].kind != "e":
        end, y = at(bar.end), middle + _BAR // 2
        joint = f'<line class="l" x1="{end}" y1="{y}" x2="{end}" y2="{y + _ROW - _BAR}"/>'
    shape = (
        f'<rect class="{bar.kind}" x="{left}" y="{middle - _BAR // 2}" width="{max(right - left, 1.5):.1f}" '
        f'height="{_BAR}" rx="2"/>'
    )
    return (
        f'<g role="listitem" aria-label={quoteattr(spoken)}>'
        f'<text class="n" x="20" y="{middle - 3}">{escape(bar.name)}</text>'
        f'<text class="f" x="20" y="{middle + 15}">{escape(bar.finding)}</text>{shape}'
        f'<text class="v" x="{WIDTH - 20}" y="{middle + 5}" text-anchor="end">{escape(bar.label)}</text></g>{rule}{joint}'
    )
