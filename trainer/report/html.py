"""Blocks as one self-contained page: no script, nothing from elsewhere, and every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from trainer.report.blocks import Block, Curves, Diagonal, Heading, Intervals, Paragraph, Table, plain
from trainer.report.plots import curves, diagonal, intervals

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Even a mistake in the escaping would run no script and load nothing."""
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2733; max-width: 960px; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.5em } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #d8dee5 } h3 { font-size: 1em }
table { border-collapse: collapse; margin: .8em 0; font-size: .9em } div { overflow-x: auto }
th, td { padding: .25em .7em; text-align: left; border-bottom: 1px solid #e6eaef; vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
figure { margin: 1em 0 } figcaption { font-size: .9em; color: #55606c } svg text { font: 12px system-ui, sans-serif }
svg { max-width: 100%; height: auto }
"""


def page(title: str, blocks: Sequence[Block]) -> str:
    """A whole document."""
    body = "\n".join(_block(block) for block in blocks)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_e(title)}</title><style>{STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _block(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{_e(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{_e(text)}</p>"
        case Table():
            return _table(block)
        case Intervals(title):
            return _figure(intervals(block), title)
        case Diagonal(title):
            return _figure(diagonal(block), title)
        case Curves(title):
            return _figure(curves(block), title)


def _figure(svg: str, title: str) -> str:
    return f"<figure>{svg}<figcaption>{_e(title)}</figcaption></figure>"


def _table(table: Table) -> str:
    def cell(kind: str, row: int, column: int, text: str) -> str:
        numeric = ' class="n"' if column in table.numeric else ""
        tone = table.tone.get((row, column))
        colour = (
            "" if tone is None else f' style="background: rgba(27, 108, 168, {min(1.0, max(0.0, tone)) * 0.6:.2f})"'
        )
        return f"<{kind}{numeric}{colour}>{_e(text)}</{kind}>"

    head = "".join(cell("th", -1, column, text) for column, text in enumerate(table.columns))
    rows = (
        "<tr>" + "".join(cell("td", row, column, text) for column, text in enumerate(cells)) + "</tr>"
        for row, cells in enumerate(table.rows)
    )
    return f"<div><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"


def _e(text: str) -> str:
    return escape(plain(text))
