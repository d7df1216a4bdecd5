"""A whole recording as rerun entities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from telerig.teleop.view import health
from telerig.teleop.view.ghost import wished
from telerig.teleop.view.layout import Line, Pose
from telerig.teleop.view.painter import Painter
from telerig.teleop.view.source import Floats, Instants, Source
from telerig.teleop.view.walk import hangs

STEP_PERIOD_NS = 20_000_000  # often enough for the steps of a robot that walks
POSE_PERIOD_NS = 33_000_000  # as often as a screen shows it
Advance = Callable[[float], None]


def paint(painter: Painter, source: Source, advance: Advance = lambda fraction: None) -> None:
    """Log a whole recording.  ``advance`` is told the fraction done, 0…1."""
    layout = painter.layout
    painter.prepare(source.about)
    for t, name in source.states():
        painter.state(t, name)
    for event in source.events(layout.events):
        painter.event(event)
    _curves(painter, source)
    advance(0.1)
    _poses(painter, source)
    _health(painter, source)
    advance(0.2)
    rolls = [(c, *source.frames(c)) for c in layout.cameras]
    total = sum(len(taken) for _, taken, _, _ in rolls)
    done = 0
    for camera, taken, frame, kind in rolls:
        for i in range(len(taken)):
            painter.image(camera, int(taken[i]), frame(i), kind)
            done += 1
            advance(0.2 + 0.8 * done / total)
    advance(1.0)


def _curves(painter: Painter, source: Source) -> None:
    for plot in painter.layout.plots:
        for line in plot.lines:
            painter.curve(plot, line, *source.series(line))


def _poses(painter: Painter, source: Source) -> None:
    """The robot as it was measured, and on the same instants where each kind of command wanted it."""
    if painter.robot is None:
        return
    found = [(p, *source.series(_whole(p, "measured"))) for p in painter.layout.poses]
    found = [f for f in found if len(f[1])]
    if not found:
        return
    at = shown = _every(found[0][1], POSE_PERIOD_NS)
    if source.about.t_start < at[0]:  # lest bodies lie about at the origin until the first measurement
        shown, at = np.concatenate([[source.about.t_start], at]), np.concatenate([at[:1], at])
    joints, times, root = _joints_at(at, found), painter.columns(shown), _root(painter, source, at, found)
    measured = painter.robot.poses(joints, root)
    painter.robot.move_along(painter.rec, times, measured)
    for kind, overlay in painter.overlays.items():
        wishes = [(w, *source.series(_whole(w, kind))) for w in painter.layout.wishes[kind]]
        wanted = painter.robot.poses(wished(joints, _joints_at(at, wishes)), root)
        overlay.move_along(painter.rec, times, measured, wanted)


def _root(
    painter: Painter, source: Source, at: Instants, found: Sequence[tuple[Pose, Instants, Floats]]
) -> Floats | None:
    """Where a robot that walks was, (T, 4, 4); None for one that is held."""
    robot, stream = painter.robot, painter.layout.walks
    if robot is None or not robot.walks:
        return None
    measured = [(t, legs) for pose, t, legs in found if pose.stream == stream]
    if not measured:
        return None
    t, legs = measured[0]
    _, attitude = source.series(Line("measured", stream, "attitude", (0, 1, 2, 3)))
    some = np.union1d(_rows(t, _every(t, STEP_PERIOD_NS)), _rows(t, at))  # the legs that are drawn are among them
    t, hung = t[some], np.zeros(len(some), bool)
    if painter.layout.balance:
        told, states = source.series(Line("measured", painter.layout.balance, "state", (0,)))
        hung = hangs(states[_rows(told, t), 0]) if len(told) else hung
    return robot.follower().follow(legs[some], attitude[some], hung)[_rows(t, at)]


def _whole(pose: Pose, kind: str) -> Line:
    return Line(kind, pose.stream, pose.field, tuple(range(len(pose.names))))


def _joints_at(at: Instants, found: Sequence[tuple[Pose, Instants, Floats]]) -> dict[str, Floats]:
    """Each joint's newest value at every instant (the first one before that)."""
    out: dict[str, Floats] = {}
    for pose, t, values in found:
        if len(t):
            rows = _rows(t, at)
            out |= {name: values[rows, i] for i, name in enumerate(pose.names)}
    return out


def _rows(t: Instants, at: Instants) -> Instants:
    """Number of the newest of ``t`` at every instant (the first one before that)."""
    return np.clip(np.searchsorted(t, at, "right") - 1, 0, len(t) - 1)


def _every(t: Instants, period: int) -> Instants:
    """Those instants at which a period has passed since the one before."""
    _, first = np.unique((t - t[0]) // period, return_index=True)
    return t[first]


def _health(painter: Painter, source: Source) -> None:
    watched = painter.layout.health
    if not watched:
        return
    about = source.about
    at = health.grid(about.t_start, about.t_end)
    arrivals = [source.arrivals(name) for name, _ in watched]
    rate, age = health.health(arrivals, [hz for _, hz in watched], at, about.t_start)
    painter.vectors("health/rate", at, rate)
    painter.vectors("health/age", at, age)
