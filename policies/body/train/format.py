"""What a body training's files call themselves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from telerig.hardware.errors import DataError

FORMAT, VERSION = "telerig-body-training", 1


def check_format(head: Mapping[str, Any], folder: Path) -> None:
    """:raises DataError: a checkpoint's ``config.json`` says that it is something else."""
    if (head.get("format"), head.get("version")) != (FORMAT, VERSION):
        raise DataError(f"{folder}/config.json: not a body training of version {VERSION}")
