"""A simulated world as a device: steps physics on absolute deadlines, answers the robot's bus, publishes its state.

Real time: a process of its own; between deadlines it waits on its Unix socket.  Virtual time: ``read(0)`` brings
physics up to the clock's present instant, and the robot's driver talks to :attr:`MujocoWorld.robot_emulator` in the
same process.
It never renders: cameras do that in their own processes from ``NAME/state``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.loss_report import LossReport
from telerig.drivers.mujoco.bus import SocketServer
from telerig.drivers.mujoco.firmware import RobotFirmware
from telerig.drivers.mujoco.legged_firmware import LeggedFirmware
from telerig.drivers.mujoco.legged_plant import GANTRIES, LeggedPlant
from telerig.drivers.mujoco.motion_log import MotionLog
from telerig.drivers.mujoco.plant import Plant
from telerig.drivers.mujoco.scene import Scene, build_scene, static_surroundings
from telerig.hardware.embodiment import Embodiment, load_embodiment
from telerig.hardware.errors import ConfigError, DeviceLost
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.scene import SCENE, SceneRequest
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.hardware.surroundings import Surroundings
from telerig.hardware.wire import simbus

PERIOD_NS = 5_000_000
SUBSTEPS = 2
CATCH_UP = 4  # periods made up for after a late wake-up; what is later than that is skipped and counted
TRUTH_EVERY = 2  # periods
HANDS = ("left_hand", "right_hand")


class MujocoWorld:
    """The device ``mujoco_world``.

    Streams: ``NAME/state`` every control period (5 ms) for renderers, ``NAME/truth`` at 100 Hz for the virtual operator
    and evaluation.  ``t_device`` counts from when the world was first opened, in steps of whole periods.

    :ivar robot_emulator: the robot's firmware, for a ``LoopbackPort``.
    :ivar overruns: control periods skipped so far because the process came late.
    """

    @dataclass(frozen=True)
    class Config:
        """Rig keys.

        :param task: a world of :mod:`telerig.hardware.worlds`; "" is the robot alone.
        :param seed: first placement; later ones are asked for on ``session/scene``.
        :param socket: path of the Unix socket that robots connect to; "" for none (virtual time).
        :param target: the joints that the simulated robot's bus controls.
        :param hold_pelvis: fix a floating root, and make joints that nobody commands rigid; ``false``: the robot stands
            on its own feet, for the driver ``mujoco_humanoid``.
        :param gantry: what carries a robot on its own feet: ``until_balanced`` (let down when its host says that it
            balances), ``always``, ``none``.
        :param log: file that gets one record of joint speed and mode a control period; "" for none.
        """

        embodiment: str
        task: str = ""
        seed: int = 0
        socket: str = ""
        target: str = "upper"
        hold_pelvis: bool = True
        log: str = ""
        gantry: str = "until_balanced"

        def __post_init__(self) -> None:
            if self.gantry not in GANTRIES:
                raise ConfigError(f"gantry is '{self.gantry}', allowed is {', '.join(GANTRIES)}")
            if self.seed < 0:
                raise ConfigError(f"seed is {self.seed}, it must not be negative")

    def __init__(self, config: Config, context: DeviceContext) -> None:
        self.config, self.context = config, context
        robot = load_embodiment(config.embodiment)
        self.robot_emulator = _firmware(robot, config)
        self.overruns = 0
        self.episode = 0
        self._plant: Plant | None = None
        self._server: SocketServer | None = None
        self._log: MotionLog | None = None
        self._t0: int | None = None
        self._due = 0
        self._steps = 0
        self._scene_seq = -1
        self._losses = LossReport(context)

    @staticmethod
    def surroundings(config: Config) -> Surroundings | None:
        """What stands still in this world, for viewers; None for the robot alone."""
        return static_surroundings(config.task) if config.task else None

    @property
    def _scene(self) -> Scene:
        c = self.config
        return build_scene(c.embodiment, c.task, c.target, c.hold_pelvis)

    @property
    def streams(self) -> tuple[StreamSpec, ...]:
        """Compiles the model, whose sizes are the state's."""
        name, model = self.context.name, self._scene.model
        state = [
            ArraySpec("qpos", (model.nq,)),
            ArraySpec("qvel", (model.nv,)),
            ArraySpec("t_sim", (), "<f8", "s"),
        ]
        if model.nmocap:
            state.append(ArraySpec("mocap", (model.nmocap, 7)))
        rate = 1e9 / PERIOD_NS
        xyz, pose = ("x", "y", "z"), ("x", "y", "z", "qw", "qx", "qy", "qz")
        phases = self._phase_names
        truth = (
            ArraySpec("object", (3,), "<f8", "m", xyz, "world"),
            ArraySpec("target", (3,), "<f8", "m", xyz, "world"),
            *(ArraySpec(hand, (7,), "<f8", "m, 1", pose, "world") for hand in HANDS),
            ArraySpec("episode", (), "<i8"),
            ArraySpec("success", (), "<u1"),
            *(() if self.config.hold_pelvis else (ArraySpec("pelvis", (7,), "<f8", "m, 1", pose, "world"),)),
            *((ArraySpec("phases", (len(phases),), "<u1", "", phases),) if phases else ()),
        )
        return (
            StreamSpec(f"{name}/state", tuple(state), rate),
            StreamSpec(f"{name}/truth", truth, rate / TRUTH_EVERY),
        )

    @property
    def _phase_names(self) -> tuple[str, ...]:
        """Of a task of which a walking robot does one part after another."""
        task = self._scene.task
        return () if task is None or self.config.hold_pelvis else task.phase_names

    @property
    def inputs(self) -> tuple[str, ...]:
        """Requests for new scenes."""
        return (SCENE.name,)

    # --- opening -------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Build the world, the robot holding at home, and serve its bus.

        :raises ConfigError: embodiment, task and model do not fit each other.
        :raises DeviceOpenError: socket or log cannot be made.
        """
        self.close()
        held = self.config.hold_pelvis
        self._plant = Plant(self._scene) if held else LeggedPlant(self._scene, self.config.gantry)
        self._plant.reset(self.config.seed, 0, robot=True)  # takes a while: time begins afterwards
        now = self.context.clock.now()
        self._t0 = now if self._t0 is None else self._t0
        self._due, self.episode = now + PERIOD_NS, 0
        self.robot_emulator.stiffness = self._plant.stiffness
        self.robot_emulator.power_up(now, *self._plant.start())
        if self.config.log:
            self._log = MotionLog(self.config.log)
        if self.config.socket:
            self._server = SocketServer(self.config.socket, self._serve)

    def _serve(self, decoder: simbus.Decoder, data: bytes) -> bytes:
        return self.robot_emulator.serve(decoder, self.context.clock.now(), data)

    def close(self) -> None:
        """Stop serving; what was logged is written."""
        if self._server is not None:
            self._server.close()
        if self._log is not None:
            self._log.close()
        self._server = self._log = self._plant = None

    def reset(self, seed: int, episode: int, reset_robot: bool = False) -> None:
        """Place object and target as (seed, episode) say; with ``reset_robot`` the robot stands at home again, at rest.

        After a reset with the robot, what follows depends on nothing that was before.

        :raises DeviceLost: the world is not open.
        """
        plant = self._opened()
        plant.reset(seed, episode, reset_robot)
        self.episode = episode
        if reset_robot:
            self.robot_emulator.power_up(self._due - PERIOD_NS, *plant.start())

    def _opened(self) -> Plant:
        if self._plant is None:
            raise DeviceLost(f"{self.context.name}: the world is not open")
        return self._plant

    # --- running -------------------------------------------------------------------------------------------------

    def read(self, timeout_s: float) -> Sequence[Sample]:
        """Step every control period that is due; samples of each.  Between them, answer the robot's bus."""
        plant, clock = self._opened(), self.context.clock
        end = clock.now() + round(timeout_s * 1e9)
        while (now := clock.now()) < self._due:
            if now >= end or clock.virtual:
                return []
            self._wait(min(self._due, end))
        if not clock.virtual:
            self._skip((now - self._due) // PERIOD_NS - CATCH_UP)
        out: list[Sample] = []
        while self._due <= now:
            self._obey_requests()
            self._period(plant)
            out += self._samples(plant)
            self._due += PERIOD_NS
        return out

    def _wait(self, until: int) -> None:
        if self._server is None:
            self.context.clock.sleep_until(until)
        else:
            self._server.wait((until - self.context.clock.now()) / 1e9)

    def _skip(self, periods: int) -> None:
        """Let whole periods go; say so at most once a second."""
        if periods > 0:
            self._due += periods * PERIOD_NS
            self.overruns += periods
        text = "periods of 5 ms left out: the computer was late, the world stood still"
        self._losses.update("world.overrun", self.overruns, text)

    def _obey_requests(self) -> None:
        reader = self.context.inputs.get(SCENE.name)
        sample = reader.latest() if reader is not None else None
        if sample is not None and sample.seq != self._scene_seq:
            self._scene_seq = sample.seq
            request = SceneRequest.from_sample(sample)
            self.reset(request.seed, request.episode, request.reset_robot)

    def _period(self, plant: Plant) -> None:
        firmware = self.robot_emulator
        firmware.tick(self._due)
        speed = 0.0
        for _ in range(SUBSTEPS):
            plant.obey(firmware)
            plant.step()
            if self._log is not None:
                speed = max(speed, plant.speed)
            if self._server is not None:
                self._server.wait(0.0)
        plant.tell(firmware, self._due)
        self._steps += 1
        if self._log is not None:
            self._log.add(self._due, speed, firmware.mode)

    def _samples(self, plant: Plant) -> list[Sample]:
        name, now, data = self.context.name, self.context.clock.now(), plant.data
        t_device = self._due - (self._t0 or 0)
        state = {"qpos": data.qpos.copy(), "qvel": data.qvel.copy(), "t_sim": np.array(data.time)}
        if plant.model.nmocap:
            state["mocap"] = plant.mocap()
        out = [Sample(f"{name}/state", now, self._due, state, 0, t_device, self._steps)]
        if self._steps % TRUTH_EVERY == 0:
            out.append(
                Sample(f"{name}/truth", now, self._due, self._truth(plant), 0, t_device, self._steps // TRUTH_EVERY)
            )
        return out

    def _truth(self, plant: Plant) -> dict[str, NDArray[np.generic]]:
        """Where everything is; NaN for what this world does not have."""
        plant.refresh()
        palms = {name: plant.pose(body, offset) for name, (body, offset) in plant.scene.palms.items()}
        task, data, unknown = plant.scene.task, plant.data, np.full(7, np.nan)
        done = task is not None and task.success(data, np.stack([p[:3] for p in palms.values()]))
        truth = {
            "object": unknown[:3] if task is None else data.xpos[task.object].copy(),
            "target": unknown[:3] if task is None else data.xpos[task.target].copy(),
            **{hand: palms.get(hand, unknown) for hand in HANDS},
            "episode": np.array(self.episode, np.int64),
            "success": np.array(done, np.uint8),
        }
        if plant.scene.legs is not None:
            truth["pelvis"] = data.qpos[:7].copy()
            if task is not None and task.phase_names:
                truth["phases"] = np.array(task.phases(data, done), np.uint8)
        return truth


def _firmware(robot: Embodiment, config: MujocoWorld.Config) -> RobotFirmware:
    if not config.hold_pelvis:
        return LeggedFirmware(robot, config.target)
    target = robot.target("robot", config.target)
    return RobotFirmware(robot.name, robot.version, target.names, np.array(target.low), np.array(target.high))
