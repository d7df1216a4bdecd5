"""A driver's keys from the rig file, checked against its ``Config`` dataclass: every mistake one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from telerig.hardware.errors import ConfigError

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


def describe(error: ValidationError, where: str) -> str:
    """Pydantic's findings, one line each: place, key, what is allowed."""
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        given = item.get("input")
        shown = f" (it says {given!r})" if not isinstance(given, Mapping | list) and item["type"] != "missing" else ""
        message = {"extra_forbidden": "unknown key", "unexpected_keyword_argument": "unknown key"}.get(
            item["type"], item["msg"]
        )
        lines.append(f"{where}{'.' if where and key else ''}{key}: {message[0].lower() + message[1:]}{shown}")
    return "\n".join(lines)


def build_config(cls: type[Any], values: Mapping[str, Any], where: str) -> Any:
    """An instance of a driver's frozen ``Config`` from plain values.

    :raises ConfigError: unknown key, wrong type, or the dataclass's own check refused it; one line a mistake.
    """
    strict = with_config(ConfigDict(extra="forbid"))(type(cls.__name__, (cls,), {"__doc__": cls.__doc__}))
    try:
        checked: Any = TypeAdapter(strict).validate_python(dict(values))
    except ValidationError as error:
        raise ConfigError(describe(error, where))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}")
    return cls(**{name: getattr(checked, name) for name in cls.__dataclass_fields__})
