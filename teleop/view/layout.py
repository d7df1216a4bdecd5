"""What a view shows, worked out from the streams' declarations and the embodiment alone: plots, cameras, robot, health.

The same for a log, a dataset's episode and a running session, so that all three look alike.  No rerun here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from telerig.datasets.rawlog_schema import DEPTH_MEDIA_TYPE
from telerig.datasets.roles import PROCESSES
from telerig.hardware.embodiment import Embodiment
from telerig.hardware.legs import legs_of
from telerig.hardware.specs import StreamSpec

KINDS = ("measured", "sent", "intended")  # what is drawn last lies on top, so the thickest line comes first
STATE = "session/state"
_COMMANDS = ("intended", "sent", "applied")


@dataclass(frozen=True, slots=True)
class Line:
    """Some elements of one field of one stream.  :param columns: which elements, in the plot's order."""

    kind: str
    stream: str
    field: str
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves that belong together.  :param names: short names of the elements; ``unit`` of all of them."""

    path: str
    title: str
    names: tuple[str, ...]
    unit: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Camera:
    """One image stream.  :param meter: depth only: how many steps of a pixel's value are a metre."""

    path: str
    title: str
    stream: str
    blob: str
    meter: float | None = None


@dataclass(frozen=True, slots=True)
class Pose:
    """Where joints are found (measured, or as commanded): all elements of a field, which are the joints ``names``."""

    stream: str
    field: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """Everything there is to show.

    ``groups``: joint curves, right before left; ``sensors``: the operator's devices and whatever else is numeric;
    ``poses``: measured joints; ``wishes``: those intended and sent;
    ``walks``: of a robot on its own feet, the stream that tells its legs (one of ``poses``) and attitude, else "";
    ``balance``: the one that tells whether it is kept up, else "";
    ``health``: device streams and their nominal rates (Hz); ``events``: streams of events.
    """

    groups: tuple[Plot, ...] = ()
    sensors: tuple[Plot, ...] = ()
    cameras: tuple[Camera, ...] = ()
    poses: tuple[Pose, ...] = ()
    health: tuple[tuple[str, float], ...] = ()
    events: tuple[str, ...] = ()
    states: bool = False
    embodiment: Embodiment | None = None
    wishes: Mapping[str, tuple[Pose, ...]] = field(default_factory=dict)
    walks: str = ""
    balance: str = ""

    @property
    def plots(self) -> tuple[Plot, ...]:
        """All curves."""
        return (*self.groups, *self.sensors)


def plan_layout(specs: Mapping[str, StreamSpec], embodiment: Embodiment | None) -> Layout:
    """Sort streams into what is shown where; streams of telerig's own processes are not devices."""
    devices = {n: s for n, s in specs.items() if n.split("/", 1)[0] not in PROCESSES and n.split("/")[0] != "view"}
    secret = {n for n, s in devices.items() if n.endswith(("/truth", "/controls")) or _is_world(s)}
    flowing = {n: s for n, s in devices.items() if n not in secret and not n.endswith("/events")}
    numeric = {n: s for n, s in flowing.items() if s.arrays and not s.blobs}
    targets = {n.removesuffix("/sent"): s.array("data").axes for n, s in numeric.items() if n.endswith("/sent")}
    measured = {t: _measured(numeric, t, joints) for t, joints in targets.items()}
    groups = [p for t, joints in targets.items() for p in _target_plots(t, joints, measured[t], specs, embodiment)]
    poses = tuple(Pose(m.stream, m.field, numeric[m.stream].array(m.field).axes) for m in measured.values() if m)
    wishes = {
        kind: tuple(Pose(n, "data", targets[t]) for t, m in measured.items() if m and (n := f"{t}/{kind}") in specs)
        for kind in ("intended", "sent")
    }
    legs = _legs(numeric.values(), embodiment)
    shown = (
        {line.stream for p in groups for line in p.lines} | {p.stream for p in poses} | {legs.stream if legs else ""}
    )
    groups = sorted(groups, key=_order) + sorted(_leg_plots(legs, specs, embodiment), key=_order)
    drawn = {(line.stream, line.field) for p in groups for line in p.lines}
    rest = [s for n, s in sorted(numeric.items()) if n not in shown and n.rsplit("/", 1)[-1] not in _COMMANDS]
    watched = {n: s for n, s in flowing.items() if n.rsplit("/", 1)[-1] not in _COMMANDS and s.rate_hz > 1}
    return Layout(
        tuple(groups),
        _sensors(rest, drawn),
        tuple(_cameras(flowing)),
        tuple(dict.fromkeys((*poses, *((legs,) if legs else ())))),
        tuple((n, s.rate_hz) for n, s in watched.items()),
        tuple(n for n in specs if n.endswith("/events")),
        STATE in specs,
        embodiment,
        {kind: found for kind, found in wishes.items() if found},
        legs.stream if legs else "",
        _balance(legs, specs),
    )


def _is_world(spec: StreamSpec) -> bool:
    return {"qpos", "qvel"} <= {a.name for a in spec.arrays}


def _legs(numeric: Iterable[StreamSpec], robot: Embodiment | None) -> Pose | None:
    """Where the legs of a robot that stands on its own feet are measured; None for any other robot."""
    base = robot.base if robot is not None else None
    if robot is None or base is None or not (base.get("feet") and base.get("body")):
        return None
    joints = legs_of(robot).joints
    for spec in numeric:
        fields = {a.name: a for a in spec.arrays}
        if {"position", "attitude"} <= set(fields) and fields["position"].axes == joints:
            return Pose(spec.name, "position", joints)
    return None


def _balance(legs: Pose | None, specs: Mapping[str, StreamSpec]) -> str:
    """What the supervisor of these legs tells, "" where nobody does."""
    name = f"{legs.stream.rsplit('/', 1)[0]}/balance" if legs is not None else ""
    return name if name in specs else ""


def _leg_plots(legs: Pose | None, specs: Mapping[str, StreamSpec], robot: Embodiment | None) -> list[Plot]:
    """Legs as measured and as the body policy wants them; no agent commands them."""
    if legs is None:
        return []
    own, every = legs.stream.rsplit("/", 1)[0], tuple(range(len(legs.names)))
    lines = {"measured": Line("measured", legs.stream, legs.field, every)}
    if balance := _balance(legs, specs):
        lines["sent"] = Line("sent", balance, "target", every)
    return _group_plots(f"{own}/legs", legs.names, lines, specs[legs.stream].array(legs.field).unit, robot)


def _measured(numeric: Mapping[str, StreamSpec], target: str, joints: Sequence[str]) -> Line | None:
    """The stream whose ``position`` has all the joints, the target's own device first; None for a base."""
    own = target.split("/", 1)[0]
    for spec in sorted(numeric.values(), key=lambda s: s.name.split("/", 1)[0] != own):
        for item in spec.arrays:
            if item.name == "position" and set(joints) <= set(item.axes):
                return Line("measured", spec.name, item.name, tuple(item.axes.index(j) for j in joints))
    return None


def _target_plots(
    target: str,
    joints: tuple[str, ...],
    measured: Line | None,
    specs: Mapping[str, StreamSpec],
    robot: Embodiment | None,
) -> list[Plot]:
    """What an agent commands: one plot a joint group of the embodiment; what belongs to no group in one of its own."""
    lines = {k: Line(k, f"{target}/{k}", "data", tuple(range(len(joints)))) for k in ("sent", "intended")}
    lines = {k: line for k, line in lines.items() if line.stream in specs}
    if measured is not None:
        lines["measured"] = measured
    return _group_plots(target, joints, lines, specs[f"{target}/sent"].array("data").unit, robot)


def _group_plots(
    target: str, joints: tuple[str, ...], lines: Mapping[str, Line], unit: str, robot: Embodiment | None
) -> list[Plot]:
    """``lines``: by their kind, each with all of these joints."""
    parts: list[tuple[str, tuple[str, ...]]] = []
    for group in robot.groups if robot is not None else ():
        if members := tuple(j for j in group.joints if j in joints):
            parts.append((group.name, members))
    named = {j for _, names in parts for j in names}
    if rest := tuple(j for j in joints if j not in named):
        parts.append((target.rsplit("/", 1)[-1], rest))
    plots = []
    for name, those in parts:
        at = [joints.index(j) for j in those]
        chosen = [lines[k] for k in KINDS if k in lines]
        picked = tuple(Line(c.kind, c.stream, c.field, tuple(c.columns[i] for i in at)) for c in chosen)
        path = (
            f"curves/{name}"
            if target.split("/", 1)[0] in ("robot", name)
            else f"curves/{target.split('/', 1)[0]}_{name}"
        )
        plots.append(Plot(path, plain(name).capitalize(), short_names(those, name), unit, picked))
    return plots


def _order(plot: Plot) -> tuple[int, int]:
    """Right before left before the rest; the sort is stable, so otherwise the embodiment's order stays."""
    name = plot.path.rsplit("/", 1)[-1]
    return (0 if "right" in name else 1 if "left" in name else 2), (1 if name == "base" else 0)


def _sensors(streams: Sequence[StreamSpec], drawn: Collection[tuple[str, str]]) -> tuple[Plot, ...]:
    """What devices tell and is not drawn elsewhere (stream, field).

    Where two streams of a device have a field of the same name, its path tells which it is.
    """
    plots = [p for s in streams for p in _sensor_plots(s) if (s.name, p.lines[0].field) not in drawn]
    often = Counter(p.path for p in plots)
    own = (p.path if often[p.path] == 1 else f"sensors/{p.lines[0].stream}/{p.lines[0].field}" for p in plots)
    return tuple(replace(p, path=path) for p, path in zip(plots, own, strict=True))


def _sensor_plots(spec: StreamSpec) -> list[Plot]:
    """One plot a field; only the first of a stream of joints (velocity beside position says nothing new)."""
    device = spec.name.split("/", 1)[0]
    fields = [a for a in spec.arrays if a.size <= 64]
    if {"position", "velocity"} <= {a.name for a in fields}:
        fields = [a for a in fields if a.name == "position"]
    out = []
    for item in fields:
        names = item.axes if len(item.axes) == item.size else tuple(str(i) for i in range(item.size))
        line = Line("value", spec.name, item.name, tuple(range(item.size)))
        title = f"{plain(device)}: {plain(item.name)}"
        out.append(Plot(f"sensors/{device}/{item.name}", title, short_names(names, device), item.unit, (line,)))
    return out


def _cameras(specs: Mapping[str, StreamSpec]) -> list[Camera]:
    """Colour first, then depth."""
    found = []
    for spec in specs.values():
        device, what = spec.name.split("/", 1)
        for blob in spec.blobs:
            if blob.media_type == "image/jpeg":
                found.append(Camera(f"cameras/{device}/{what}", f"{plain(device)} camera", spec.name, blob.name))
            elif blob.media_type == DEPTH_MEDIA_TYPE:
                step = float(blob.meta.get("unit_m") or 0.001)
                found.append(
                    Camera(f"cameras/{device}/{what}", f"{plain(device)} depth", spec.name, blob.name, 1 / step)
                )
    return sorted(found, key=lambda c: c.meter is not None)


def plain(name: str) -> str:
    """A name as people write it."""
    return name.replace("_", " ")


def short_names(names: Sequence[str], group: str) -> tuple[str, ...]:
    """Element names without what all of the group share: side, ``_joint``, the group's own words."""
    words = {*group.split("_"), "joint", "link"}
    short = [" ".join(w for w in n.split("_") if w not in words) or plain(n) for n in names]
    return tuple(short) if len(set(short)) == len(short) else tuple(plain(n) for n in names)
