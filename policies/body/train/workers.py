"""Worker processes, one thread each: every one owns some groups of robots and answers the learner's requests in turn."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from telerig.hardware.errors import DataError, TelerigError
from telerig.policies.body.train.actor import Networks
from telerig.policies.body.train.config import TrainConfig
from telerig.policies.body.train.curriculum import Levels
from telerig.policies.body.train.env import make_models, make_table
from telerig.policies.body.train.evaluation import CASES, Case, CaseEnv
from telerig.policies.body.train.shard import Shard, Tally
from telerig.policies.body.train.shared import Shared
from telerig.teleop import realtime

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Workers:
    """A context: started processes, told what to do, ended at the end.

    The groups are dealt out in turn; which process has which does not change what they compute.
    """

    def __init__(self, config: TrainConfig, processes: int, robots_per_case: int = 20) -> None:
        context = multiprocessing.get_context("spawn")
        self.config = config
        self.shared = Shared.create(config, context)
        self.shared.array("deviation")[:] = 1.0
        count = max(1, min(processes, config.shards))
        self.shards = [list(range(config.shards))[i::count] for i in range(count)]
        self._pipes: list[Connection] = []
        self._processes = []
        with _environment():
            for own in self.shards:
                here, there = context.Pipe()
                args = (there, config, own, self.shared, robots_per_case, os.getpid())
                process = context.Process(target=_serve, args=args, daemon=True, name="train-body")
                process.start()
                there.close()
                self._pipes.append(here)
                self._processes.append(process)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self._pipes:
            try:
                pipe.send(("end", None))
            except OSError:
                pass
            pipe.close()
        for process in self._processes:
            process.join(5.0)
            if process.is_alive():
                process.kill()
                process.join()

    def _ask(self, what: str, arguments: list[Any]) -> list[Any]:
        """The answers of all workers.  :raises DataError: one failed or died."""
        try:
            for pipe, argument in zip(self._pipes, arguments, strict=True):
                pipe.send((what, argument))
            answers = [pipe.recv() for pipe in self._pipes]
        except (EOFError, OSError):
            raise DataError("a training worker died; see the messages above")
        for failed, answer in answers:
            if failed:
                raise DataError(f"a training worker failed: {answer}")
        return [answer for _, answer in answers]

    def collect(self, levels: Levels) -> Tally:
        """Fill the shared samples of all groups."""
        found: dict[int, Tally] = {}
        for answer in self._ask("collect", [levels] * len(self._pipes)):
            found.update(answer)
        total = Tally()
        for index in sorted(found):  # in this order, whoever collected them: sums of floats depend on it
            total.add(found[index])
        return total

    def save(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """All groups' arrays (``INDEX.NAME``) and generators (by index, as text)."""
        arrays: dict[str, Any] = {}
        generators: dict[str, Any] = {}
        for answer in self._ask("save", [None] * len(self._pipes)):
            for index, (own, generator) in answer.items():
                arrays |= {f"{index}.{k}": v for k, v in own.items()}
                generators[str(index)] = generator
        return arrays, generators

    def restore(self, arrays: Mapping[str, Any], generators: Mapping[str, Any]) -> None:
        """The inverse of :meth:`save`."""
        parts = []
        for own in self.shards:
            part = {}
            for index in own:
                prefix = f"{index}."
                mine = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
                part[index] = (mine, generators[str(index)])
            parts.append(part)
        self._ask("restore", parts)

    def evaluate(self, seed: int, cases: tuple[Case, ...] = CASES, keep: bool = False) -> dict[str, dict[str, Any]]:
        """Every case → its figures, with the parameters in shared memory; ``keep``: see :meth:`CaseEnv.run`."""
        names = [c.name for c in cases]
        count = len(self._pipes)
        found: dict[str, dict[str, Any]] = {}
        for answer in self._ask("evaluate", [(names[i::count], seed, keep) for i in range(count)]):
            found.update(answer)
        return {name: found[name] for name in names}


class _Server:
    """What a worker process holds."""

    def __init__(self, config: TrainConfig, own: list[int], shared: Shared, robots_per_case: int) -> None:
        self._table = make_table(config.body)
        models = make_models(config.body, config.seed, config.robots)
        self._shards = {i: Shard(i, config, models, self._table, shared) for i in own}
        self._config, self._shared, self._robots = config, shared, robots_per_case
        self._cases: CaseEnv | None = None

    def collect(self, levels: Levels) -> dict[int, Tally]:
        return {i: s.collect(levels) for i, s in self._shards.items()}

    def save(self, _: None) -> dict[int, Any]:
        return {i: s.save() for i, s in self._shards.items()}

    def restore(self, part: Mapping[int, Any]) -> None:
        for index, saved in part.items():
            self._shards[index].restore(*saved)

    def evaluate(self, what: tuple[list[str], int, bool]) -> dict[str, Any]:
        if self._cases is None:
            self._cases = CaseEnv(self._config, self._table, self._robots)
        arrays = (self._shared.array(k) for k in ("parameters", "mean", "deviation"))
        networks, (names, seed, keep) = Networks(self._config.ppo, *arrays), what
        return {c.name: self._cases.run(c, networks, seed, keep) for c in CASES if c.name in names}


def _serve(
    pipe: Connection, config: TrainConfig, own: list[int], shared: Shared, robots_per_case: int, parent: int
) -> None:
    _outlive_signals(parent)
    server: _Server | None = None
    while True:
        try:
            what, argument = pipe.recv()
        except EOFError:
            return
        if what == "end":
            return
        try:
            if server is None:
                server = _Server(config, own, shared, robots_per_case)
            pipe.send((False, getattr(server, what)(argument)))
        except TelerigError as error:
            pipe.send((True, str(error)))
        except Exception as error:  # the learner ends with one line; a worker's traceback would come twice
            pipe.send((True, f"{type(error).__name__}: {error}"))


def _outlive_signals(parent: int) -> None:
    """The learner decides when to stop, also where a signal reached the whole group; without a learner, end at once."""

    def on_term(number: int, frame: FrameType | None) -> None:
        if os.getppid() != parent:
            os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, on_term)
    realtime.die_with_parent(parent)


@contextmanager
def _environment() -> Iterator[None]:
    """Libraries that are loaded in here, in another process, compute on one thread."""
    before = {k: os.environ.get(k) for k in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
