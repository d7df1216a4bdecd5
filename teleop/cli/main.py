"""The ``telerig`` command: finds its subcommands, runs one, and turns what went wrong into one line.

Every subcommand, telerig's own too, comes by name from the entry-point group ``telerig.commands``: other packages add
theirs the same way, and nothing here knows what exists.  An entry is a function with Typer annotations or a
``typer.Typer`` (a group).  One that cannot be imported is listed as unavailable, with the reason, and takes nothing
else down.  ``telerig NAME …`` imports NAME's module only; help imports them all, so a command's module has
nothing heavier than typer at its top and imports the rest inside the function.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any

import typer
from typer.main import get_command

from telerig.hardware.errors import ConfigError, MissingExtra, TelerigError

GROUP = "telerig.commands"
# Where a command stands in the help: a matter of display only.  Unknown (others') commands come last.
PANELS = {
    "Operate": ("demo", "teleop", "calibrate", "run", "replay"),
    "Data": ("info", "build", "view", "repair"),
    "Learn": ("train", "eval", "train-body", "export-body", "eval-body", "body-curves"),
    "Measure": ("bench",),
}
EXTRAS = {"mujoco": "sim", "torch": "learn", "safetensors": "learn", "onnxruntime": "learn", "rerun": "view"}
EXTRAS |= {"pyrealsense2": "realsense", "cv2": "uvc"}
CLICK_ERROR: type[Exception] = typer.BadParameter.__mro__[2]  # newer typers carry their own click: ask, don't import
HELP = "Wear a robot: operate it, record everything, learn from it.  TELERIG_DEBUG=1 shows full tracebacks."


class ErrorFormatter:
    """What a user reads when a command raised: a line a mistake, or, for a bug, also where it happened."""

    def __init__(self, debug: bool = False) -> None:
        self.debug = debug

    def __call__(self, error: BaseException) -> tuple[str, int]:
        """:returns: text without a final newline (may be empty), exit code."""
        if isinstance(error, KeyboardInterrupt | typer.Abort):
            return "interrupted", 130
        known = missing_extra(error) or error
        if isinstance(known, TelerigError):
            lines = [" ".join(line.split()) for line in str(known).splitlines()] or [type(known).__name__]
            text, code = "\n".join(f"error: {line}" for line in lines if line), known.exit_code
        elif isinstance(error, CLICK_ERROR):
            context = getattr(error, "ctx", None)
            hint = f" (see: {context.command_path} --help)" if context else ""
            text, code = f"error: {' '.join(error.format_message().split())}{hint}", 2  # type: ignore[attr-defined]
        else:
            shown = "".join(traceback.format_exception(error, limit=None if self.debug else -3)).rstrip()
            text = f"{shown}\nerror: this is a bug in telerig or in a plug-in; please report the lines above"
            return text + ("" if self.debug else " (TELERIG_DEBUG=1 shows all of them)"), 1
        return ("".join(traceback.format_exception(error)) + text if self.debug else text), code


def missing_extra(error: BaseException) -> MissingExtra | None:
    """The pip line for an import that failed, where the library is one of telerig's extras."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        library = error.name.partition(".")[0]
        if library in EXTRAS:
            return MissingExtra(library, EXTRAS[library])
    return None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def find_commands() -> dict[str, EntryPoint]:
    """Every subcommand by name.  telerig's own win over others of the same name."""
    found = {e.name: e for e in entry_points(group=GROUP)}
    return found | {e.name: e for e in entry_points(group=GROUP) if e.dist and e.dist.name == "telerig"}


def add_command(app: typer.Typer, name: str, entry: EntryPoint, panel: str) -> None:
    """Add one subcommand, or, if it cannot be loaded, one that says so and exits with 2."""
    try:
        loaded = entry.load()
        if isinstance(loaded, typer.Typer):
            get_command(loaded)  # wrong annotations come out here rather than in everybody's help
            app.add_typer(loaded, name=name, rich_help_panel=panel)
        elif callable(loaded):
            probe = typer.Typer(add_completion=False)
            probe.command(name)(loaded)
            get_command(probe)
            app.command(name, rich_help_panel=panel)(loaded)
        else:
            raise TypeError(f"{entry.value} is neither a function nor a typer.Typer")
    except Exception as error:  # whatever a plug-in may raise while it is imported
        reason = str(missing_extra(error) or f"{entry.value}: {type(error).__name__}: {_one_line(error)}")
        lenient = {"ignore_unknown_options": True, "allow_extra_args": True}
        app.command(name, help=f"unavailable: {reason}", rich_help_panel="Unavailable", context_settings=lenient)(
            _refuse(f"command '{name}' is unavailable: {reason}")
        )


def _refuse(text: str) -> Callable[[], None]:
    def refuse() -> None:
        raise ConfigError(text)

    return refuse


def build_app(argv: Sequence[str] = ()) -> typer.Typer:
    """The command line for these arguments: only the subcommand they name, or all if they name none."""
    settings = {"help_option_names": ["-h", "--help"]}
    app = typer.Typer(name="telerig", rich_markup_mode="rich", context_settings=settings)
    app.callback(help=HELP)(_root)
    commands = find_commands()
    wanted = next((a for a in argv if not a.startswith("-")), None)
    if wanted in commands and "_TELERIG_COMPLETE" not in os.environ:
        commands = {wanted: commands[wanted]}
    order = {name: (i, panel) for i, (panel, name) in enumerate((p, n) for p, names in PANELS.items() for n in names)}
    for name in sorted(commands, key=lambda n: (order.get(n, (len(order), ""))[0], n)):
        add_command(app, name, commands[name], order.get(name, (0, "More"))[1])
    return app


def plain_flags(command: Any, parent: Any = None) -> None:
    """Let a flag's help be its name alone, for this command and all below it: newer typers add ``<bool>`` to each.

    :param command: a click command, of whichever click typer uses.  :param parent: the context of the one above it.
    """
    context = command.context_class(command, parent=parent, **command.context_settings)
    for option in command.get_params(context):  # --help is among them
        if getattr(option, "is_flag", False) and option.metavar is None:
            option.metavar = ""
    for below in getattr(command, "commands", {}).values():
        plain_flags(below, context)


def _version(wanted: bool) -> None:
    if wanted:
        from telerig import __version__

        typer.echo(f"telerig {__version__}")
        raise typer.Exit


VersionFlag = Annotated[bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)]


def _root(version: VersionFlag = False) -> None:
    """Options of ``telerig`` itself."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line.  :raises SystemExit: always; 0 done, 1 failed, 2 wrong input, 130 interrupted."""
    args = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    try:
        command = get_command(build_app(args))
        plain_flags(command)
        result: Any = command(args=args, prog_name="telerig", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except (Exception, KeyboardInterrupt) as error:
        text, code = ErrorFormatter(debug=bool(os.environ.get("TELERIG_DEBUG")))(error)
        print(text, file=sys.stderr)
    sys.exit(code)
