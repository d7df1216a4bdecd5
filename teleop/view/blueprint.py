"""How the window is laid out: what one looks at first stands at the top left, every title says what it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from telerig.teleop.view.layout import Camera, Layout, Plot
from telerig.teleop.view.robot import ROOT, RobotModel
from telerig.teleop.view.sdk import load_rerun
from telerig.teleop.view.style import TIME

LIVE_WINDOW_S = 15.0


def blueprint(layout: Layout, robot: RobotModel | None, live: bool = False) -> Any:
    """Cameras left, robot in the middle, explanations right; the operator's state; curves and events below."""
    load_rerun()
    import rerun.blueprint as rrb

    top: list[tuple[Any, float]] = []
    if layout.cameras:
        top.append((_cameras(rrb, layout.cameras), 3.0))
    if robot is not None:
        top.append((_robot(rrb, robot), 3.5))
    top.append((rrb.TextDocumentView(origin="about", name="What you see"), 2.0))
    rows: list[tuple[Any, float]] = [(rrb.Horizontal(*(v for v, _ in top), column_shares=[s for _, s in top]), 5.0)]
    if layout.states:
        rows.append((rrb.StateTimelineView(origin="state", name="State of the session"), 1.25))
    bottom: list[tuple[Any, float]] = []
    if curves := _curves(rrb, layout, live):
        bottom.append((curves, 6.5))
    bottom.append((_events(rrb, layout), 4.0))
    rows.append((rrb.Horizontal(*(v for v, _ in bottom), column_shares=[s for _, s in bottom]), 4.0))
    panel = rrb.TimePanel(timeline=TIME, play_state="following" if live else "playing", state="collapsed")
    return rrb.Blueprint(
        rrb.Vertical(*(v for v, _ in rows), row_shares=[s for _, s in rows]),
        rrb.BlueprintPanel(state="collapsed"), rrb.SelectionPanel(state="collapsed"), panel,
    )  # fmt: skip


def _cameras(rrb: Any, cameras: tuple[Camera, ...]) -> Any:
    """Colour in one row (two from four cameras on), depth in another."""
    rows = []
    for kind in (False, True):
        views = [
            rrb.Spatial2DView(origin=c.path, name=c.title.capitalize())
            for c in cameras
            if (c.meter is not None) is kind
        ]
        if views:
            rows.append(rrb.Horizontal(*views) if len(views) < 4 else rrb.Grid(*views))
    return rows[0] if len(rows) == 1 else rrb.Vertical(*rows)


def _robot(rrb: Any, robot: RobotModel) -> Any:
    """Seen from the front, from its right, a little from above; a robot that walks, and nobody knows where, is followed."""
    middle, size = robot.span
    size *= 0.85 if robot.walks else 1.0  # what it walks among is spread about, and may touch the edges
    eye: dict[str, Any] = {"position": middle + size * np.array([0.82, -0.44, 0.42]), "look_target": middle}
    if robot.walker is not None and robot.lost:
        eye = {"tracking_entity": robot.walker}  # with a position of its own it would stay behind
    return rrb.Spatial3DView(
        origin=ROOT, name="Robot (solid: measured)",
        eye_controls=rrb.EyeControls3D(eye_up=(0.0, 0.0, 1.0), **eye),
        background=(32, 36, 42), line_grid=rrb.LineGrid3D(visible=True, spacing=0.25),
    )  # fmt: skip


def _curves(rrb: Any, layout: Layout, live: bool) -> Any:
    views = [_curve(rrb, p, live) for p in layout.groups]
    if layout.sensors:
        views.append(rrb.Grid(*(_curve(rrb, p, live) for p in layout.sensors), name="Devices"))
    if not views:
        return None
    return rrb.Tabs(*views, active_tab=0)


def _curve(rrb: Any, plot: Plot, live: bool) -> Any:
    """A live view shows the last seconds, a recording all of it."""
    unit = f" ({plot.unit})" if plot.unit else ""
    return rrb.TimeSeriesView(
        origin=plot.path, name=f"{plot.title}{unit}", plot_legend=rrb.PlotLegend(corner="RightTop"),
        axis_x=_last_seconds(rrb) if live else None,
    )  # fmt: skip


def _last_seconds(rrb: Any) -> Any:
    edge = rrb.TimeRangeBoundary
    return rrb.TimeAxis(view_range=rrb.TimeRange(edge.cursor_relative(seconds=-LIVE_WINDOW_S), edge.cursor_relative()))


def _events(rrb: Any, layout: Layout) -> Any:
    """What happened, and below whether every stream keeps what it promises."""
    columns = rrb.TextLogColumns(text_log_columns=["LogLevel", "Body"])
    events = rrb.TextLogView(origin="events", name="Events", columns=columns)
    if not layout.health:
        return events
    hundred = rrb.ScalarAxis(range=(0.0, 130.0))
    rate = rrb.TimeSeriesView(
        origin="health/rate",
        name="Stream rate (% of nominal)",
        axis_y=hundred,
        plot_legend=rrb.PlotLegend(visible=False),
    )
    age = rrb.TimeSeriesView(origin="health/age", name="Stream age (ms)", plot_legend=rrb.PlotLegend(corner="LeftTop"))
    return rrb.Vertical(events, rrb.Tabs(age, rate, active_tab=0))
