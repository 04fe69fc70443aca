"""What the demo shows on the terminal while it runs, and the table at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from headrace.costs import TRAFFICS


@dataclass(slots=True)
class Screen:
    """The state shown; `say` adds a line to the story, everything else is overwritten in place."""

    console: Console
    started: float = field(default_factory=monotonic)
    act: str = "starting"
    figures: dict[str, str] = field(default_factory=dict)
    job: tuple[str, float, float] | None = None
    story: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Add a line to the story, with the time since the start."""
        entry = f"[dim]{self.elapsed():>4.0f} s[/]  {line}"
        self.story.append(entry)
        if not self.console.is_terminal:
            self.console.print(entry)

    def elapsed(self) -> float:
        """Seconds since the start."""
        return monotonic() - self.started

    @contextmanager
    def live(self) -> Iterator[None]:
        """Redraw four times a second where there is a terminal; elsewhere only the story's lines are printed."""
        if not self.console.is_terminal:
            yield
            return
        with Live(get_renderable=self._render, console=self.console, refresh_per_second=4, transient=True):
            yield
        for line in self.story:
            self.console.print(line)

    def _render(self) -> Panel:
        figures = Table.grid(padding=(0, 3))
        for name, value in self.figures.items():
            figures.add_row(Text(name, style="dim"), Text(value))
        parts: list[Any] = [figures]
        if self.job:
            stage, done, total = self.job
            bar = Table.grid(padding=(0, 2))
            bar.add_row(Text(f"trainer: {stage}"), ProgressBar(total=total or 1, completed=done, width=40))
            parts.append(bar)
        parts += [Text(), *[Text.from_markup(line) for line in self.story[-14:]]]
        return Panel(Group(*parts), title=f"headrace · {self.act}", subtitle=f"{self.elapsed():.0f} s")


def closing_table(report: dict[str, Any]) -> Table:
    """A table like the case study's, with intervals."""
    table = Table(title="the flywheel, measured in this run", title_justify="left")
    for column in ("", "big incumbent (simulated)", "after act one", "after the world changed", "after act two"):
        table.add_column(column, justify="left" if not column else "right")
    accuracy = report["accuracy"]
    stages = [accuracy[name] for name in ("incumbent", "after_act_one", "trough", "recovered")]
    table.add_row("version", *[stage["version"] if stage else "–" for stage in stages])
    table.add_row("accuracy on fresh questions", *[interval(stage) for stage in stages])
    costs = [report["cost"].get(stage["version"]) if stage else None for stage in stages]
    for at in TRAFFICS:
        shown = [f"{cost['per_1k'][str(at)]:.5f}" if cost else "–" for cost in costs]
        table.add_row(f"$ per 1,000 answers at {at:,} a day", *shown)
    table.add_row("median latency, ms", *[f"{cost['p50_ms']:.0f}" if cost else "–" for cost in costs])
    if "saved" in report["cost"]:
        table.caption = (
            f"{savings(report['cost'])} (case study: 98 %, at a traffic that it does not say); machines are always on; "
            "judge, experts and training are not in it; the incumbent's latency is the case study's "
            f"26 s scaled by 1:{report['conditions']['incumbent_latency_scale']:.0f}"
        )
    return table


def savings(cost: dict[str, Any]) -> str:
    """`cost -503.0% / 93.9% / 99.9% lower at 1,000 / 100,000 / 10,000,000 requests a day; cheaper from 6,031 a day`."""
    if "saved" not in cost:
        return "–"
    shares = " / ".join(f"{cost['saved'][str(at)]:.1%}" for at in TRAFFICS)
    traffics = " / ".join(f"{at:,}" for at in TRAFFICS)
    even = cost["break_even_per_day"]
    since = "never cheaper" if even is None else f"cheaper from {even:,.0f} a day"
    return f"cost {shares} lower at {traffics} requests a day; {since}"


def funnel_table(report: dict[str, Any]) -> Table:
    """The funnel beside the case study's."""
    table = Table(title="from feedback to ground truth", title_justify="left")
    for column in ("", "this run", "case study"):
        table.add_column(column, justify="left" if not column else "right")
    study = report["case_study"]
    for name, count in report["funnel"].items():
        table.add_row(name, f"{count:,}", f"{study[name]:,}" if isinstance(study.get(name), int) else "–")
    for name, count in (report["acts"][0]["exclusions"] if report["acts"] else {}).items():
        table.add_row(f"[dim]excluded: {name}[/]", f"{count:,}", "–")
    return table


def candidates_table(act: dict[str, Any]) -> Table:
    """What each candidate of an act showed and what the gate said."""
    table = Table(title=f"candidates, {act['name']}", title_justify="left")
    for column in ("candidate", "split", "n", "accuracy, 95 %", "p95 ms", "gate", "why"):
        table.add_column(column, overflow="fold")
    for row in act["candidates"]:
        table.add_row(
            row["name"],
            row["split"],
            f"{row['n']:,}",
            f"{row['accuracy']:.3f} ({row['low']:.3f}–{row['high']:.3f})",
            f"{row['p95_ms']:.1f}",
            row["gate"],
            row["reason"],
        )
    return table


def interval(share: dict[str, Any] | None) -> str:
    """`.951 (.940–.960), n 1,234`."""
    if share is None:
        return "–"
    return f"{share['value']:.3f} ({share['low']:.3f}–{share['high']:.3f}), n {share['n']:,}"
