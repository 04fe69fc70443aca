"""The page: one layout, updated in place while someone looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nicegui import app, ui
from starlette.requests import Request

from console import panels, timeline, view
from console.access import Access
from console.feed import Feed, Rows, Snapshot
from console.gate import CLOSED, COOKIE, HEALTH
from console.panels import Panel
from console.signing import SIGN_OUT
from headrace.plan import Plan

STYLE = Path(__file__).with_name("style.css").read_text("utf-8")
# How often an open page asks for news; the feed bounds what that costs.
PERIOD_S = 1.5

NO_ACCURACY = (
    "No accuracy yet. The gateway draws a share of the answers (the plan's audit.rate) for experts to label blind; "
    "the first labels draw the first point here."
)

# NiceGUI would try to connect again without end; loading the page again leads to the sign-in form.
TO_SIGN_IN = f"""<script>
const waiting = setInterval(() => {{
  if (!window.socket) return;
  clearInterval(waiting);
  window.socket.on("disconnect", (reason, details) => {{
    if (details?.context?.code === {CLOSED}) location.reload();
  }});
}}, 100);
</script>"""


def mount(feed: Feed, plan: Plan, access: Access) -> None:
    """Serve the page at / and a health probe at /healthz."""

    @ui.page("/", title="headrace")
    async def index(request: Request) -> None:
        viewer = access.session(request.cookies.get(COOKIE))
        page = Page(plan, viewer.name or viewer.key_id if viewer else "")
        page.show(await feed.latest())

        async def update() -> None:
            page.show(await feed.latest())

        ui.timer(PERIOD_S, update)

    @app.get(HEALTH)
    def healthz() -> dict[str, str]:
        return {"status": "ok"}


class Page:
    """One viewer's page: which task they look at, and the elements that show it.

    viewer: who signed in; empty where nobody had to
    """

    def __init__(self, plan: Plan, viewer: str = "") -> None:
        self._plan = plan
        self._viewer = viewer
        self._task = next(iter(plan.tasks))
        self._snapshot = Snapshot()
        self._option: dict[str, Any] = {}
        ui.add_css(STYLE)
        if viewer:
            ui.add_body_html(TO_SIGN_IN)
        self._dark = ui.dark_mode(None)
        self._header()
        with ui.element("div").classes("board"):
            self._layout()

    def show(self, snapshot: Snapshot) -> None:
        """Bring every element up to date."""
        self._snapshot = snapshot
        self._banner.set_text(snapshot.fault)
        self._banner.set_visibility(bool(snapshot.fault))
        self._pulse.classes(add="bad", remove="good") if snapshot.fault else self._pulse.classes(
            add="good", remove="bad"
        )
        if snapshot.read_at:
            self._read_at.set_text(f"{snapshot.read_at:%H:%M:%S} UTC")
        names = view.tasks(self._plan, snapshot.rows)
        if names != self._tasks.options:
            self._tasks.set_options(names, value=self._task)
        self._tasks.set_visibility(len(names) > 1)
        self._name.set_visibility(len(names) == 1)
        self._name.set_text(self._task)
        self._show_task(snapshot.rows)

    def _show_task(self, rows: Mapping[str, Rows]) -> None:
        seen = view.build(self._task, self._plan, rows)
        for name, panel in self._panels.items():
            panel.show(getattr(seen, name))
        accuracy, happened = (
            [row for row in rows.get(panel, ()) if row["task"] == self._task] for panel in ("accuracy", "timeline")
        )
        self._chart.set_visibility(bool(accuracy))
        self._no_accuracy.set_visibility(not accuracy)
        option = timeline.option(accuracy, happened)
        if option != self._option:
            self._option = option
            # A copy: the chart rewrites its own on the way to the browser.
            self._chart.options.update(option)
            self._chart.update()

    def _choose(self, task: str) -> None:
        self._task = task
        self.show(self._snapshot)

    def _header(self) -> None:
        with ui.element("header").classes("topbar"):
            ui.html(MARK, sanitize=False)
            ui.label("headrace").classes("wordmark")
            self._name = ui.label("").classes("task")
            self._tasks = ui.toggle([self._task], value=self._task, on_change=lambda event: self._choose(event.value))
            self._tasks.props("dense no-caps flat")
            ui.element("span").classes("spacer")
            self._pulse = ui.element("i").classes("pulse good")
            self._read_at = ui.label("").classes("at")
            if self._viewer:
                ui.label(self._viewer).classes("at")
                with ui.element("form").props(f'method="post" action="{SIGN_OUT}"'):
                    ui.button("Sign out").props('type="submit" flat dense no-caps size=sm')
            theme = ui.button(icon="contrast", on_click=self._turn).props("flat round dense size=sm")
            theme.tooltip("light or dark")
        self._banner = ui.label("").classes("banner").props('role="alert"')
        self._banner.set_visibility(False)

    def _turn(self) -> None:
        self._dark.set_value(not self._dark.value)

    def _layout(self) -> None:
        self._panels: dict[str, Panel[Any]] = {"tiles": Panel(panels.tiles, "tiles")}
        with ui.element("section").classes("card chart"):
            with ui.element("h2"):
                ui.label("Accuracy, triggers and promotions")
                ui.label("event time, UTC").classes("note")
            panels.legend()
            self._no_accuracy = ui.label(NO_ACCURACY).classes("empty")
            self._chart = ui.echart({}, renderer="svg").classes("plot")
        table = panels.table
        self._panels |= {
            "happenings": Panel(panels.happenings, "happened", "What happened", "event time, UTC"),
            "job": Panel(panels.job, "job", "Retraining"),
            "candidates": Panel(table, "candidates", "Candidates of the last job"),
            "versions": Panel(table, "versions", "Versions that answered"),
            "frontier": Panel(
                panels.frontier,
                "frontier",
                "Accuracy beside cost",
                "full: answered users; hollow: candidates; green: best",
            ),
            "detectors": Panel(table, "detectors", "What the monitor sees"),
            "events": Panel(table, "events", "Where every event is", "`headrace reconcile` proves it"),
            "replicas": Panel(table, "replicas", "What each gateway serves"),
            "actions": Panel(table, "actions", "Who did what", "UTC; `headrace log` has all of it"),
            "review": Panel(table, "review", "Waiting for people"),
            "dead_letters": Panel(table, "dead", "Newest dead letters"),
        }


MARK = """<svg width="26" height="26" viewBox="0 0 26 26" fill="none" aria-hidden="true">
<path d="M2 8c4-4 7 3 11 0s7-3 11 0" stroke="#0ea5e9" stroke-width="2.2" stroke-linecap="round"/>
<circle cx="13" cy="17" r="6.2" stroke="#10b981" stroke-width="2.2"/>
<path d="M13 10.8v12.4M6.8 17h12.4" stroke="#10b981" stroke-width="1.6"/></svg>"""
