"""One recording's rerun entities: cameras, robot, curves, health, states and events."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.datasets.depth_png import depth_to_png
from telerig.hardware.depth import decode_depth
from telerig.hardware.errors import ConfigError
from telerig.hardware.events import Event
from telerig.hardware.surroundings import Surroundings
from telerig.teleop.states import State
from telerig.teleop.view.ghost import Bones, Ghost, Overlay
from telerig.teleop.view.layout import Camera, Layout, Line, Plot, plain
from telerig.teleop.view.robot import RobotModel
from telerig.teleop.view.sdk import load_rerun
from telerig.teleop.view.source import About
from telerig.teleop.view.style import (
    BODIES,
    CLOCK,
    GHOSTS,
    LEVELS,
    STATE_COLORS,
    STATE_WORDS,
    TIME,
    WIDTHS,
    WORDS,
    color,
)

DEPTH_REACH_M = 3.0  # the colours' range


class Painter:
    """Logs one recording.

    :param rec: rerun's recording stream.  :param t_start: ns; the instant at which ``episode_time`` is 0.
    :param around: what stands around the robot.
    :param compact: depth as PNG where OpenCV is there: a third of the bytes for some milliseconds an image.
    """

    def __init__(
        self, rec: Any, layout: Layout, t_start: int, around: Surroundings | None = None, compact: bool = True
    ) -> None:
        self.rec, self.layout, self.t_start = rec, layout, t_start
        self._png = compact and importlib.util.find_spec("cv2") is not None
        self._rr = load_rerun()
        self.note = ""
        self.robot = self._robot(around)
        self.overlays: dict[str, Overlay] = {}
        for kind, wishes in layout.wishes.items():
            if self.robot is not None:
                make = Ghost if kind == "intended" else Bones
                self.overlays[kind] = make(self.robot, kind, [j for w in wishes for j in w.names], GHOSTS[kind])

    def _robot(self, around: Surroundings | None) -> RobotModel | None:
        if self.layout.embodiment is None:
            self.note = "the robot cannot be drawn: the recording names no embodiment"
            return None
        try:
            robot = RobotModel(self.layout.embodiment, around, bool(self.layout.walks))
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
        text = _explain(about, self.layout, self.robot is not None and self.robot.walks)
        rec.log("about", rr.TextDocument(text, media_type="text/markdown"), static=True)
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
        for overlay in self.overlays.values():
            overlay.draw(rec)

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


def _entity(plot: Plot, line: Line) -> str:
    return f"{plot.path}/{line.kind}"


def _series(names: Sequence[str], kind: str) -> Any:
    return load_rerun().SeriesLines(
        names=list(names), widths=[WIDTHS[kind]] * len(names), colors=[color(i, kind) for i in range(len(names))]
    )


def _explain(about: About, layout: Layout, walks: bool) -> str:
    """The text beside the pictures."""
    facts: dict[str, str] = dict(about.facts)
    if about.t_end > about.t_start:
        facts["Length"] = f"{(about.t_end - about.t_start) / 1e9:.1f} s"
    lines = [f"## {about.name}", "", *(f"- **{k}:** {v}" for k, v in facts.items())]
    if layout.poses:
        told = ["measured", *(k for k in BODIES if k in layout.wishes)]
        lines += ["", "### Robot", "", *(f"- {BODIES[k]}" for k in told)]
    if walks:
        lines += ["- it walks as its feet tell: its place drifts by some hundredths of its way"]
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
