"""Crashes of what works on files: a build killed halfway, logs cut at random bytes."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from telerig.datasets.repair import repair
from telerig.hardware.clock import RealClock
from telerig.hardware.errors import DataError, DeviceError
from telerig.teleop.bench.crash_oracle import is_readable, messages, tree_sha256

TELERIG = "from telerig.teleop.cli.main import main; main()"
BUILD_LIMIT_S = 120.0


class BuildKiller:
    """Kills ``telerig build`` of one session at random moments of its work.

    :param session: with at least one kept episode.  :param scratch: an empty folder.
    :raises DeviceError: the session cannot even be built undisturbed.
    """

    def __init__(self, session: Path, scratch: Path) -> None:
        self._session, self._scratch, self._clock = session, scratch, RealClock()
        self._n = 0
        reference = scratch / "reference"
        process = self._start(reference)
        self._begun(process, reference)
        begun = self._clock.now()
        if process.wait(BUILD_LIMIT_S) != 0:
            raise DeviceError(f"telerig build: {self._words(process)}")
        self._work_s = max(0.01, (self._clock.now() - begun) / 1e9)
        self._expected = tree_sha256(reference)

    def kill(self, rng: random.Random) -> bool:
        """Kill one build, look, build again; whether nothing half-written was to be seen and the second is right."""
        self._n += 1
        out = self._scratch / f"built-{self._n}"
        process = self._start(out)
        self._begun(process, out)
        self._clock.sleep_until(self._clock.now() + int(rng.uniform(0.0, self._work_s) * 1e9))
        process.kill()
        process.wait()
        if out.exists() and any(out.iterdir()):
            return tree_sha256(out) == self._expected  # it was done before the kill
        again = self._start(out)
        done = again.wait(BUILD_LIMIT_S) == 0 and tree_sha256(out) == self._expected
        return done and not self._working(out).exists()

    def _start(self, out: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", TELERIG, "build", str(self._session), "--out", str(out)]
        with self._log.open("wb") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def _log(self) -> Path:
        return self._scratch / "build.log"

    @staticmethod
    def _working(out: Path) -> Path:
        return out.with_name(f".{out.name}.building")

    def _begun(self, process: subprocess.Popen[bytes], out: Path) -> None:
        """Wait until the build has begun to write."""
        pause = threading.Event()
        while process.poll() is None and not (self._working(out).exists() or out.exists()):
            pause.wait(0.002)

    def _words(self, process: subprocess.Popen[bytes]) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"ended with code {process.returncode}"


def repair_cut_files(logs: Sequence[Path], n: int, scratch: Path, rng: random.Random) -> tuple[int, int]:
    """Cut copies of logs at random bytes and repair them.

    Right is: readable by ``mcap``'s indexed reader, and exactly the whole messages that its stream reader finds in the
    cut file; or, where not even the header was whole, one clear error.

    :returns: how many were repaired, how many were not as they should.
    """
    failed = 0
    for k in range(n):
        log = logs[k % len(logs)]
        cut = scratch / f"cut-{k}.mcap"
        shutil.copyfile(log, cut)
        with cut.open("r+b") as file:
            file.truncate(rng.randrange(1, log.stat().st_size))
        whole = messages(cut)
        try:
            repair(cut)
            failed += not (is_readable(cut) and messages(cut) == whole)
        except DataError:
            failed += whole is not None
    return n - failed, failed
