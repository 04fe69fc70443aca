"""Parts of the screen: each draws one view object. All text goes through labels, which NiceGUI escapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from nicegui import ui

from console.frontier import Choice, option
from console.tables import TablePanel
from console.view import Happening, Job, Tile

V = TypeVar("V")

LEGEND = (
    ("line", "accuracy of what users saw, with its 95 % interval"),
    ("trigger", "trigger"),
    ("promotion", "promotion"),
    ("rollback", "rollback"),
)


class Panel(Generic[V]):
    """A card that is drawn again only when what it says has changed.

    draw: puts a view object's elements into the current slot
    place: the card's CSS class in the page's grid
    """

    def __init__(self, draw: Callable[[V], None], place: str, title: str = "", note: str = "") -> None:
        self._draw = draw
        self._shown: V | None = None
        with ui.element("section").classes(f"card {place}"):
            if title:
                with ui.element("h2"):
                    ui.label(title)
                    ui.label(note).classes("note")
            self._body = ui.element("div").classes("body")

    def show(self, view: V) -> None:
        """Draw `view` unless it is what stands there."""
        if view == self._shown:
            return
        self._shown = view
        self._body.clear()
        with self._body:
            self._draw(view)


def tiles(found: tuple[Tile, ...]) -> None:
    """The headline."""
    for tile in found:
        with ui.element("div").classes(f"tile {tile.tone}"):
            ui.label(tile.name).classes("name")
            ui.label(tile.figure).classes("figure")
            ui.label(tile.detail).classes("detail").tooltip(tile.detail)


def happenings(found: tuple[Happening, ...]) -> None:
    """What happened, newest first."""
    if not found:
        ui.label(
            "Nothing has happened yet. When accuracy falls, a trigger appears here, then the job that it starts, "
            "and then each step of the promotion."
        ).classes("empty")
    for happening in found:
        with ui.element("div").classes(f"happening {happening.tone}"):
            with ui.element("div").classes("line"):
                ui.label(happening.title).classes("title")
                ui.label(happening.at).classes("at")
            if happening.reason:
                ui.label(happening.reason).classes("reason").tooltip(happening.reason)


def job(found: Job) -> None:
    """The newest retraining job, stage by stage."""
    with ui.element("div").classes("line"):
        ui.label(found.title).classes("title")
        if found.state:
            ui.label(found.state.replace("_", " ")).classes(f"badge {found.tone}")
    if found.detail:
        ui.label(found.detail).classes("reason" if found.state else "empty")
    for stage in found.stages:
        with ui.element("div").classes("stage"):
            ui.label(stage.name).classes("name")
            bar = ui.linear_progress(value=stage.share or 0.0, show_value=False, size="8px").props("instant-feedback")
            bar.props(f"color={'positive' if stage.done else 'primary'}")
            if stage.share is None:
                bar.props("indeterminate")
            ui.label(stage.message).classes("message").tooltip(stage.message)


def table(found: TablePanel) -> None:
    """Columns and rows, or what will stand there."""
    if not found.rows:
        ui.label(found.empty).classes("empty")
        return
    with ui.element("table"):
        with ui.element("thead"), ui.element("tr"):
            for column in found.columns:
                with ui.element("th"):
                    ui.label(column)
        with ui.element("tbody"):
            for row in found.rows:
                with ui.element("tr"):
                    for cell in row:
                        with ui.element("td"):
                            label = ui.label(cell.text).classes(cell.tone)
                            if len(cell.text) > 40:
                                label.tooltip(cell.text)


def frontier(found: tuple[Choice, ...]) -> None:
    """Accuracy beside cost."""
    if not found:
        ui.label(
            "No accuracy yet: each version that experts' labels have measured is a point here, and so is each "
            "candidate that a job evaluated."
        ).classes("empty")
        return
    ui.echart(option(found), renderer="svg").classes("frontier-plot")


def legend() -> None:
    """What the chart's lines mean."""
    with ui.element("div").classes("legend"):
        for kind, text in LEGEND:
            ui.element("i").classes(kind)
            ui.label(text)
