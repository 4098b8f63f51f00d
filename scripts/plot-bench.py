#!/usr/bin/env python3
"""Draws what `baton bench all --json FILE` measured, and puts the table into docs/performance.md.

    scripts/plot-bench.py build/bench.json docs/performance.md docs/bench

Writes FOLDER/ratios.svg and FOLDER/rates.svg, and replaces what stands between the two markers of
the page. Plain SVG: no library is needed.
"""

import json
import math
import pathlib
import sys
from xml.sax.saxutils import escape

BEGIN = "<!-- measured: begin (scripts/plot-bench.py writes this) -->"
END = "<!-- measured: end -->"
GREEN, RED, GREY, BLUE = "#2e7d32", "#c62828", "#9e9e9e", "#1565c0"
LEFT, ROW, WIDTH = 200, 26, 760


def svg(height: int, body: list[str]) -> str:
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">')
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height}" fill="white"/>', *body, "</svg>"]) + "\n"


def text(x: float, y: float, what: str, anchor: str = "start", colour: str = "black") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(what)}</text>'


def measured(report: dict) -> list[dict]:
    return [result for result in report["results"] if "not_measured" not in result]


def draw_ratios(report: dict) -> str:
    """Each case's ratio with its interval, as a multiple of its target, on a logarithmic axis."""
    cases = measured(report)
    shares = [value / case["target"] for case in cases for value in (case["ratio_low"], case["ratio_high"])]
    low = min(0.5, *shares) / 1.2
    high = max(2.0, *shares) * 1.2

    def x(share: float) -> float:
        return LEFT + (WIDTH - LEFT - 110) * math.log(share / low) / math.log(high / low)

    body = [text(10, 20, "Ratio to the reference, as a multiple of its target (95 % interval; right of the line: reached)")]
    bottom = 40 + ROW * len(cases)
    body.append(f'<line x1="{x(1):.1f}" y1="32" x2="{x(1):.1f}" y2="{bottom}" stroke="{GREY}" stroke-dasharray="4 3"/>')
    for row, case in enumerate(cases):
        y = 50 + ROW * row
        colour = GREEN if case["reached"] else RED
        ends = [x(case[end] / case["target"]) for end in ("ratio_low", "ratio_high")]
        body.append(text(LEFT - 10, y + 4, case["case"], "end"))
        body.append(f'<line x1="{ends[0]:.1f}" y1="{y}" x2="{ends[1]:.1f}" y2="{y}" stroke="{colour}" stroke-width="3"/>')
        body.append(f'<circle cx="{x(case["ratio"] / case["target"]):.1f}" cy="{y}" r="4" fill="{colour}"/>')
        body.append(text(WIDTH - 100, y + 4, f'{case["ratio"]:.3g} of {case["target"]:g}'))
    return svg(bottom + 15, body)


def draw_rates(report: dict) -> str:
    """The rates of large puts beside what the machine can do."""
    bars = [(name, figure["value"], GREY) for name, figure in report["roofline"].items()
            if figure["unit"] == "GB/s"]
    bars += [(case["case"], case["baton"], BLUE) for case in measured(report) if case["unit"] == "GB/s"]
    bars.sort(key=lambda bar: -bar[1])
    if not bars:
        return svg(40, [text(10, 20, "no rates were measured")])
    top = bars[0][1]
    body = [text(10, 20, "GB/s: Baton's puts (blue) and the machine's own limits (grey)")]
    for row, (name, value, colour) in enumerate(bars):
        y = 36 + ROW * row
        width = (WIDTH - LEFT - 80) * value / top
        body.append(text(LEFT - 10, y + 14, name, "end"))
        body.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="18" fill="{colour}"/>')
        body.append(text(LEFT + width + 6, y + 14, f"{value:.2f}"))
    return svg(45 + ROW * len(bars), body)


def table(report: dict, folder: str) -> str:
    machine = report["machine"]
    lines = [f'{machine["processor"]}, {machine["processors"]} processors, '
             f'{machine["memory_bytes"] / 2**30:.0f} GiB, Linux {machine["kernel"]}. '
             f'Noise: {100 * machine["noise"]["value"]:.0f} % ({machine["noise"]["what"]}); '
             f'load before the run {machine["load_before"]:.2f}.', "",
             "| case | Baton | reference | ratio | interval | target | |", "|---|---|---|---|---|---|---|"]
    for case in report["results"]:
        if "not_measured" in case:
            lines.append(f'| `{case["case"]}` | | | | | {case["target"]:g} | {case["not_measured"]} |')
            continue
        condition = f'; {case["condition"]}' if case.get("condition") else ""
        lines.append(
            f'| `{case["case"]}` | {case["baton"]:.4g} {case["unit"]} | {case["reference"]:.4g} ({case["reference_name"]}) '
            f'| {case["ratio"]:.3g} | {case["ratio_low"]:.3g}–{case["ratio_high"]:.3g} | {case["target"]:g} '
            f'| {"reached" if case["reached"] else "missed"}{condition} |')
    lines += ["", "Roofline of the same run: "
              + ", ".join(f'{name} {figure["value"]:.3g} {figure["unit"]}'
                          for name, figure in report["roofline"].items()) + ".", "",
              f"![Ratios]({folder}/ratios.svg)", "", f"![Rates]({folder}/rates.svg)"]
    return "\n".join(lines)


def main() -> int:
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    report = json.loads(pathlib.Path(sys.argv[1]).read_text())
    page = pathlib.Path(sys.argv[2])
    folder = pathlib.Path(sys.argv[3])
    content = page.read_text()
    if content.count(BEGIN) != 1 or content.count(END) != 1:
        print(f"{page} lacks the markers {BEGIN} and {END}", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ratios.svg").write_text(draw_ratios(report))
    (folder / "rates.svg").write_text(draw_rates(report))
    before, _, rest = content.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table(report, folder.name)}\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
