"""A running session, shown while it runs: the newest images, curves thinned to what a screen shows, events as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from telerig.hardware import events
from telerig.hardware.protocols import Clock
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec
from telerig.teleop.states import State
from telerig.teleop.stream import SharedReader
from telerig.teleop.view.blueprint import blueprint
from telerig.teleop.view.collect import Collected, Collector
from telerig.teleop.view.ghost import wished
from telerig.teleop.view.layout import STATE, Layout, Line, Plot, Pose, plan_layout
from telerig.teleop.view.painter import Painter
from telerig.teleop.view.sdk import APPLICATION, load_rerun
from telerig.teleop.view.source import About, Floats, read_embodiment, read_surroundings
from telerig.teleop.view.walk import LiveWalk

CURVES_NS = 250_000_000  # a column of samples costs as much as one
HEALTH_NS = 500_000_000
CURVE_HZ = 50.0


class LiveView:
    """Logs a session's streams; call :meth:`step` about twelve times a second.

    :param readers: the session's streams.  :param facts: see :func:`telerig.teleop.plan.rig_facts`.
    :param save: write a file rather than to the viewer on ``port``.
    """

    def __init__(
        self, specs: Mapping[str, StreamSpec], readers: Mapping[str, SharedReader], facts: Mapping[str, Any], clock: Clock,
        port: int | None, save: str = "",
    ) -> None:  # fmt: skip
        self._readers, self._clock = readers, clock
        self.layout: Layout = plan_layout(specs, read_embodiment(facts.get("embodiment")))
        self._start = clock.now()
        self.rec: Any = load_rerun().RecordingStream(APPLICATION)
        around = read_surroundings(facts.get("surroundings"))
        self._painter = Painter(self.rec, self.layout, self._start, around, compact=False)
        look = blueprint(self.layout, self._painter.robot, live=True)
        if save:
            self.rec.save(save, default_blueprint=look)
        else:
            self.rec.connect_grpc(f"rerun+http://127.0.0.1:{port}/proxy", default_blueprint=look)
        self._painter.prepare(About("Live session", {"Robot": self._robot_name()}, self._start, self._start))
        self._lines: dict[str, list[tuple[Plot, Line]]] = {}
        for plot in self.layout.plots:
            for line in plot.lines:
                self._lines.setdefault(line.stream, []).append((plot, line))
        self._curve_samples = {n: Collected(readers[n], CURVE_HZ) for n in self._lines}
        whole = [*self.layout.events, *([STATE] if self.layout.states else [])]
        self._samples = {n: Collected(readers[n]) for n in whole}
        self._walk = self._follow()
        self._shown: dict[str, int] = {}
        self._state: State | None = None
        self._counts = {n: readers[n].written for n, _ in self.layout.health}
        self._told = self._drawn = self._start

    def _robot_name(self) -> str:
        return self.layout.embodiment.name if self.layout.embodiment else "unknown: not drawn"

    def _follow(self) -> LiveWalk | None:
        robot, stream = self._painter.robot, self.layout.walks
        if robot is None or not robot.walks:
            return None
        legs = next(p.names for p in self.layout.poses if p.stream == stream)
        told = Collected(self._readers[self.layout.balance]) if self.layout.balance else None
        return LiveWalk(Collected(self._readers[stream], CURVE_HZ), told, robot.follower(), legs)

    def collector(self) -> Collector:
        """Keeps what :meth:`step` will draw while it is busy; start it in a session that does not wait for the view."""
        return Collector([*self._collected(), *(self._walk.collected if self._walk else ())])

    @property
    def lost(self) -> int:
        """Samples that were overwritten before they could be drawn."""
        return sum(c.lost for c in self._collected())

    def _collected(self) -> list[Collected]:
        return [*self._curve_samples.values(), *self._samples.values()]

    def step(self) -> None:
        """Log what is new."""
        now = self._clock.now()
        if now - self._drawn >= CURVES_NS:
            self._drawn = now
            for stream, lines in self._lines.items():
                self._curves(stream, lines)
        for stream in self.layout.events:
            for sample in self._samples[stream].take():
                self._painter.event(events.from_sample(sample))
        self._states()
        self._images()
        self._pose(now)
        if now - self._told >= HEALTH_NS:
            self._health()

    def _curves(self, stream: str, lines: list[tuple[Plot, Line]]) -> None:
        samples = self._curve_samples[stream].take()
        if not samples:
            return
        t = np.array([s.t_sample for s in samples], np.int64)
        for plot, line in lines:
            rows = np.array([s.array(line.field).reshape(-1)[list(line.columns)] for s in samples], float)
            self._painter.curve(plot, line, t, rows)

    def _states(self) -> None:
        for sample in self._samples[STATE].take() if STATE in self._samples else ():
            state = State(int(sample.array("state")))
            if state is not self._state:
                self._state = state
                self._painter.state(sample.t_sample, state.name)

    def _images(self) -> None:
        for camera in self.layout.cameras:
            sample = self._new(camera.stream)
            if sample is not None:
                kind = next(b.media_type for b in self._readers[camera.stream].spec.blobs if b.name == camera.blob)
                self._painter.image(camera, sample.t_sample, sample.blob(camera.blob), kind)

    def _new(self, stream: str) -> Sample | None:
        """The newest sample, once."""
        sample = self._readers[stream].latest()
        if sample is None or self._shown.get(stream) == sample.seq:
            return None
        self._shown[stream] = sample.seq
        return sample

    def _pose(self, now: int) -> None:
        robot = self._painter.robot
        joints = self._joints(self.layout.poses)
        if robot is None or not joints:
            return
        self._painter.at(now)
        root = self._walk.step(joints) if self._walk else None
        measured = robot.poses(joints, root)
        robot.move(self.rec, measured)
        for kind, overlay in self._painter.overlays.items():
            overlay.move(self.rec, measured, robot.poses(wished(joints, self._joints(self.layout.wishes[kind])), root))

    def _joints(self, poses: Sequence[Pose]) -> dict[str, Floats]:
        """The newest value (1,) of every joint."""
        out: dict[str, Floats] = {}
        for pose in poses:
            sample = self._readers[pose.stream].latest()
            if sample is not None:
                out |= {n: np.array([v]) for n, v in zip(pose.names, sample.array(pose.field).tolist(), strict=True)}
        return out

    def _health(self) -> None:
        now = self._clock.now()  # not the step's beginning: logging may have taken its time
        seconds = (now - self._told) / 1e9
        self._told = now
        rates, ages = [], []
        for name, hz in self.layout.health:
            reader = self._readers[name]
            written, before = reader.written, self._counts[name]
            self._counts[name] = written
            rates.append(100.0 * (written - before) / (seconds * hz))
            newest = reader.latest()
            ages.append(float("nan") if newest is None else max(0, self._clock.now() - newest.t_arrival) / 1e6)
        if rates:
            at = np.array([now], np.int64)
            self._painter.vectors("health/rate", at, np.array([rates]))
            self._painter.vectors("health/age", at, np.array([ages]))

    def close(self) -> None:
        """Hand over what is still on its way."""
        self.rec.flush(timeout_sec=1.0)
        self.rec.disconnect()
