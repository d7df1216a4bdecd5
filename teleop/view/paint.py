"""From a recording to rerun entities: cameras, robot, curves, health, states and events."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.datasets.depth_png import depth_to_png
from telerig.hardware.depth import decode_depth
from telerig.hardware.errors import ConfigError
from telerig.hardware.events import Event
from telerig.teleop.states import State
from telerig.teleop.view import health
from telerig.teleop.view.layout import Camera, Layout, Line, Plot, plain
from telerig.teleop.view.robot import RobotModel
from telerig.teleop.view.sdk import load_rerun
from telerig.teleop.view.source import About, Source
from telerig.teleop.view.style import CLOCK, LEVELS, STATE_COLORS, STATE_WORDS, TIME, WIDTHS, WORDS, color

DEPTH_REACH_M = 3.0  # the colours' range
POSE_PERIOD_NS = 33_000_000  # as often as a screen shows it
Advance = Callable[[float], None]


class Painter:
    """Logs one recording.

    :param rec: rerun's recording stream.  :param t_start: ns; the instant at which ``episode_time`` is 0.
    :param compact: depth as PNG where OpenCV is there: a third of the bytes for some milliseconds an image.
    """

    def __init__(self, rec: Any, layout: Layout, t_start: int, compact: bool = True) -> None:
        self.rec, self.layout, self.t_start = rec, layout, t_start
        self._png = compact and importlib.util.find_spec("cv2") is not None
        self._rr = load_rerun()
        self.note = ""
        self.robot = self._robot()

    def _robot(self) -> RobotModel | None:
        if self.layout.embodiment is None:
            self.note = "the robot cannot be drawn: the recording names no embodiment"
            return None
        try:
            robot = RobotModel(self.layout.embodiment)
        except ConfigError as error:
            self.note = str(error)
            return None
        if robot.tree.left_out:
            self.note = f"{robot.tree.left_out} shapes of {self.layout.embodiment.name} are no primitives: not drawn"
        return robot

    # --- time ----------------------------------------------------------------------------------------------------

    def at(self, t: int) -> None:
        """Set the time of what is logged next, ns."""
        self.rec.set_time(TIME, duration=(t - self.t_start) / 1e9)
        self.rec.set_time(CLOCK, timestamp=np.datetime64(t, "ns"))

    def columns(self, t: NDArray[np.int64]) -> list[Any]:
        """The same for many instants at once."""
        column = self._rr.TimeColumn
        return [column(TIME, duration=(t - self.t_start) / 1e9), column(CLOCK, timestamp=t.astype("datetime64[ns]"))]

    # --- what does not change ------------------------------------------------------------------------------------

    def prepare(self, about: About) -> None:
        """Everything that is logged once: explanations, names and colours of curves, the robot's shapes."""
        rr, rec = self._rr, self.rec
        rec.send_recording_name(about.name)
        rec.log("about", rr.TextDocument(_explain(about, self.layout), media_type="text/markdown"), static=True)
        for plot in self.layout.plots:
            for line in plot.lines:
                rec.log(_entity(plot, line), _series(plot.names, line.kind), static=True)
        names = [plain(n) for n, _ in self.layout.health]
        if names:
            for what in ("rate", "age"):
                rec.log(f"health/{what}", _series(names, "value"), static=True)
        rec.log("state", rr.StateConfiguration(
            values=[s.name for s in State], labels=[STATE_WORDS[s] for s in State], colors=[STATE_COLORS[s] for s in State]
        ), static=True)  # fmt: skip
        if self.robot is not None:
            self.robot.draw(rec)

    # --- what does -----------------------------------------------------------------------------------------------

    def curve(self, plot: Plot, line: Line, t: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Curves (N, n) of one line of a plot."""
        if len(t):
            self.vectors(_entity(plot, line), t, values)

    def vectors(self, entity: str, t: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Vectors (N, n) of one entity."""
        n = values.shape[1]
        columns = self._rr.Scalars.columns(scalars=values.reshape(-1)).partition(np.full(len(t), n))
        self.rec.send_columns(entity, indexes=self.columns(t), columns=columns)

    def image(self, camera: Camera, t: int, data: bytes, kind: str) -> None:
        """One image; JPEG and PNG go in as they are."""
        self.at(t)
        if camera.meter is None:
            self.rec.log(camera.path, self._rr.EncodedImage(contents=data, media_type=kind))
            return
        reach = [0.0, DEPTH_REACH_M * camera.meter]
        if kind != "image/png" and not self._png:
            image = self._rr.DepthImage(decode_depth(data), meter=camera.meter, depth_range=reach)
            self.rec.log(camera.path, image)
            return
        png = data if kind == "image/png" else depth_to_png(data)
        image = self._rr.EncodedDepthImage(png, media_type="image/png", meter=camera.meter, depth_range=reach)
        self.rec.log(camera.path, image)

    def event(self, event: Event) -> None:
        """One line of the text log."""
        self.at(event.t)
        self.rec.log(f"events/{event.source}", self._rr.TextLog(event.text, level=LEVELS[event.level]))

    def state(self, t: int, name: str) -> None:
        """The operator's state from now on."""
        self.at(t)
        self.rec.log("state", self._rr.StateChange(state=name))


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
    if painter.robot is None or not painter.layout.poses:
        return
    joints: dict[str, NDArray[np.float64]] = {}
    at: NDArray[np.int64] | None = None
    for pose in painter.layout.poses:
        t, values = source.series(Line("measured", pose.stream, pose.field, tuple(range(len(pose.names)))))
        if not len(t):
            continue
        at = _every(t, POSE_PERIOD_NS) if at is None else at
        rows = np.clip(np.searchsorted(t, at, "right") - 1, 0, len(t) - 1)
        joints |= {name: values[rows, i] for i, name in enumerate(pose.names)}
    if at is None:
        return
    if source.about.t_start < at[0]:  # lest bodies lie about at the origin until the first measurement
        at = np.concatenate([[source.about.t_start], at])
        joints = {name: np.concatenate([values[:1], values]) for name, values in joints.items()}
    painter.robot.move_along(painter.rec, painter.columns(at), joints)


def _every(t: NDArray[np.int64], period: int) -> NDArray[np.int64]:
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


def _entity(plot: Plot, line: Line) -> str:
    return f"{plot.path}/{line.kind}"


def _series(names: Sequence[str], kind: str) -> Any:
    return load_rerun().SeriesLines(
        names=list(names), widths=[WIDTHS[kind]] * len(names), colors=[color(i, kind) for i in range(len(names))]
    )


def _explain(about: About, layout: Layout) -> str:
    """The text beside the pictures."""
    facts: dict[str, str] = dict(about.facts)
    if about.t_end > about.t_start:
        facts["Length"] = f"{(about.t_end - about.t_start) / 1e9:.1f} s"
    lines = [f"## {about.name}", "", *(f"- **{k}:** {v}" for k, v in facts.items())]
    kinds = {line.kind for p in layout.groups for line in p.lines}
    if kinds:
        lines += ["", "### Curves", "", "One colour a joint.", "", *(f"- {w}" for k, w in WORDS.items() if k in kinds)]
    if layout.health:
        lines += [
            "",
            "### Streams",
            "",
            "- *rate*: 100 % is what the device promises",
            "- *age*: a peak is a gap in the stream",
        ]
    return "\n".join(lines) + "\n"
