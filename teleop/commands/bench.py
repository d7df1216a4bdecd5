"""``telerig bench``: figures anybody can measure again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

bench = typer.Typer(help="Measure speed, latency, losses and safety on this machine.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]


@bench.command("loop")
def loop(
    seconds: Annotated[float, typer.Option(help="How long to measure.", min=5.0)] = 60.0,
    keep: Annotated[Optional[Path], typer.Option(help="Keep the recorded session in this new folder.")] = None,  # noqa: UP045
    renderer: Annotated[bool, typer.Option(help="Render the simulated cameras too (reported, no bar).")] = False,
    as_json: Json = False,
) -> None:
    """Loop rate, jitter, latency and losses of the full cockpit at 200 Hz, everything recorded.

    Two exoskeleton arms, two gloves and the pedal box on pseudo-terminals, two synthetic 640x480 cameras at 30 fps, a
    simulated robot.  Latency is from the arrival of the newest exoskeleton sample used to the write on the robot's bus;
    losses are the emulators' journals minus what the mcap package's own reader finds in the log.
    """
    from telerig.teleop.bench.report import run_loop_bench

    run_loop_bench(seconds, keep, renderer, as_json)


@bench.command("crash")
def crash(
    kills: Annotated[int, typer.Option(help="How many kills, one in five of them of a build.", min=2)] = 20,
    seed: Annotated[int, typer.Option(help="Other seeds, other moments.")] = 0,
    as_json: Json = False,
) -> None:
    """Kill -9 of recorder, session and build at bad moments: what was kept is whole, what was open lacks under a second.

    The emulators' journals say what must be in the logs; the mcap package's own reader says what is.  Five logs are cut
    at random bytes and repaired, too.
    """
    from telerig.teleop.bench.crash import run_crash_bench

    run_crash_bench(kills, seed, as_json)


@bench.command("deadman")
def deadman(
    moments: Annotated[
        int, typer.Option(help="Random moments for each target and signal, and for each cause.", min=1)
    ] = 20,
    targets: Annotated[str, typer.Option(help="Processes to stop.")] = "loop,agent,recorder,cli,robot",
    signals: Annotated[str, typer.Option(help="How to stop them.")] = "STOP,KILL",
    causes: Annotated[
        str, typer.Option(help="What else stops the robot ('' for none).")
    ] = "estop,released,silent,exo_left,exo_right,glove_left,glove_right,pedals,camera,camera_required",
    rows: Annotated[str, typer.Option(help="Only these, as the result names them: loop/KILL,estop,…")] = "",
    into: Annotated[Optional[Path], typer.Option(help="Put the rows into an earlier run's JSON file.")] = None,  # noqa: UP045
    seed: Annotated[int, typer.Option(help="Other seeds, other moments.")] = 0,
    as_json: Json = False,
) -> None:
    """Stop or kill any process, press e-stop, let go, unplug: the simulated arms must stand and then be damped.

    While both arms wave, everything being recorded.  The simulator's own log is the judge: every joint under 0.05 rad/s
    within 250 ms and until the arms are damped, which they are within 1.1 s, and no process left 2 s after the command
    line was killed.  What the operator is told counts when it stands on the screen of the terminal.

    The session is `telerig teleop` on a terminal of its own.  agent is not a policy: it is a planner in a process of its
    own, whose plans reach a second ahead as a policy's do, and which needs a camera, under the same screen and keys.
    """
    from telerig.teleop.bench.deadman import DeadmanBench, names, run_deadman_bench

    what = DeadmanBench(moments, names(targets), names(signals), names(causes), seed, names(rows))
    run_deadman_bench(what, as_json, into)


@bench.command("body")
def body(
    policy: Annotated[str, typer.Argument(help="A body policy's name, or the path of its manifest.")] = "telerig_g1",
    seconds: Annotated[float, typer.Option(help="How long to measure.", min=1.0)] = 10.0,
    seed: Annotated[int, typer.Option(help="Of what the robot sees.")] = 0,
    as_json: Json = False,
) -> None:
    """How long a body policy thinks: observation, reference, network, 50 times a second at the robot's priority.

    Nothing is simulated: the robot that it sees wobbles, and is asked for something else all the time.
    """
    from telerig.teleop.bench.body_bench import BodyBench, run_body_bench

    run_body_bench(BodyBench(policy, seconds, seed), as_json)


@bench.command("g1")
def g1(
    seconds: Annotated[float, typer.Option(help="How long to measure.", min=1.0)] = 10.0,
    rate_hz: Annotated[float, typer.Option(help="Commands a second.", min=200.0, max=1000.0)] = 550.0,
    state_hz: Annotated[float, typer.Option(help="States a second of the emulator.", min=500.0, max=1000.0)] = 550.0,
    domain: Annotated[int, typer.Option(help="DDS domain, on loopback.", min=0, max=230)] = 93,
    as_json: Json = False,
) -> None:
    """Command and state rates of the G1's driver against its emulator over DDS on loopback.

    Two processes: the emulator publishes states from MuJoCo and obeys commands with a right CRC; the driver is worked as
    an actuator's worker works it.  Needs the extras sim and g1.
    """
    from telerig.teleop.bench.g1 import G1Bench, run_g1_bench

    run_g1_bench(G1Bench(seconds, rate_hz, state_hz, domain), as_json)
