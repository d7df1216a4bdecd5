"""What ``telerig view`` does."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from telerig.datasets.find import choose_episodes
from telerig.hardware.errors import ConfigError
from telerig.teleop.view.blueprint import blueprint
from telerig.teleop.view.layout import plan_layout
from telerig.teleop.view.paint import paint
from telerig.teleop.view.painter import Painter
from telerig.teleop.view.sdk import APPLICATION, EndedWithUs, load_rerun, merge, require_display
from telerig.teleop.view.source import open_source

MOST = 10  # episodes shown when nobody says which


@dataclass(frozen=True)
class ViewRequest:
    """The command's arguments."""

    path: Path | None
    live: bool
    episodes: tuple[int, ...]
    save: Path | None
    web: bool
    seconds: float


def view(request: ViewRequest) -> None:
    """Show recordings, or a running session.

    :raises ConfigError: arguments that make no sense together, no display, a file in the way.
    :raises DataError: nothing that can be shown.  :raises MissingExtra: rerun is not installed.
    """
    if request.save is not None:
        _check_file(request.save)
    if request.live:
        load_rerun()
        from telerig.teleop.view.attached import attach

        attach(request.path, request.save, request.web, request.seconds)
        return
    if request.path is None:
        raise ConfigError("what to view? a session, an .mcap log, a dataset, an .hdf5 episode, or --live")
    paths = choose_episodes(request.path, request.episodes)  # what is not there is told before what is missing here
    load_rerun()
    if request.save is None and not request.web:
        require_display()
    if len(paths) > MOST and not request.episodes:
        print(f"showing the newest {MOST} of {len(paths)} episodes; choose others with --episode N", file=sys.stderr)
        paths = paths[-MOST:]
    with tempfile.TemporaryDirectory(prefix="telerig-view-") as folder:
        made = convert(paths, Path(folder))
        if request.save is not None:
            store(made, request.save)
            print(f"{request.save}: {request.save.stat().st_size / 1e6:.1f} MB; open it with: rerun {request.save}")
            return
        with EndedWithUs() as shown:
            shown.start([str(p) for p in made], web=request.web).wait()


def _check_file(out: Path) -> None:
    if out.exists():
        raise ConfigError(f"{out}: exists; choose another file for --save")
    if not out.parent.is_dir():
        raise ConfigError(f"{out}: there is no folder {out.parent}")


def convert(paths: Sequence[Path], folder: Path) -> list[Path]:
    """One ``.rrd`` a recording; what could not be drawn is said on stderr, once.

    :raises DataError: a recording that cannot be read.
    """
    made, notes = [], []
    with _progress("preparing the view") as advance:
        for i, path in enumerate(paths):
            out = folder / f"{i:04d}_{path.name.split('.', 1)[0]}.rrd"
            note = convert_one(path, out, lambda done, i=i: advance((i + done) / len(paths)))  # type: ignore[misc]
            made.append(out)
            if note and note not in notes:
                notes.append(note)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return made


def convert_one(path: Path, out: Path, advance: Callable[[float], None] = lambda done: None) -> str:
    """Write one recording as ``.rrd``; returns what could not be drawn, or ""."""
    source = open_source(path)
    try:
        layout = plan_layout(source.specs, source.embodiment)
        rec = load_rerun().RecordingStream(APPLICATION)
        painter = Painter(rec, layout, source.about.t_start, source.around)
        rec.save(str(out), default_blueprint=blueprint(layout, painter.robot))
        paint(painter, source, advance)
        rec.flush()
        rec.disconnect()
        return "; ".join(filter(None, (source.note, painter.note)))
    finally:
        source.close()


def store(made: Sequence[Path], out: Path) -> None:
    """Put converted recordings where ``--save`` says.  :raises TelerigError: rerun could not merge them."""
    if len(made) == 1:
        shutil.move(made[0], out)
    else:
        merge(made, out)


@contextmanager
def _progress(title: str) -> Iterator[Callable[[float], None]]:
    """A bar on stderr; silent where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda done: bar.update(task, completed=min(1.0, done))
