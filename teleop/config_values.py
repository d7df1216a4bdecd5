"""A driver's keys from the rig file, checked against its ``Config`` dataclass: every mistake one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, with_config

from telerig.hardware.errors import ConfigError

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
Place = tuple[int | str, ...]


def keys_of(model: type[Any], place: Place) -> tuple[str, ...]:
    """The keys that a pydantic model knows beside ``place``, which may lie in a model within it; () where any may stand."""
    for part in place[:-1]:
        field = model.model_fields.get(str(part))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return ()
        model = field.annotation
    return tuple(model.model_fields)


def describe(error: ValidationError, where: str, known: Callable[[Place], Sequence[str]] = lambda place: ()) -> str:
    """Pydantic's findings, one line each: place, key, what is allowed.

    :param known: the keys that may stand where an unknown one was found, if that can be said.
    """
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        given = item.get("input")
        shown = f" (it says {given!r})" if not isinstance(given, Mapping | list) and item["type"] != "missing" else ""
        message = item["msg"]
        if item["type"] in _UNKNOWN:
            allowed = ", ".join(known(item["loc"]))
            message = f"unknown key; known: {allowed}" if allowed else "unknown key"
        lines.append(f"{where}{'.' if where and key else ''}{key}: {message[0].lower() + message[1:]}{shown}")
    return "\n".join(lines)


def build_config(cls: type[Any], values: Mapping[str, Any], where: str, also: Sequence[str] = ()) -> Any:
    """An instance of a driver's frozen ``Config`` from plain values.

    :param also: other keys that may stand there, for the error that lists them.
    :raises ConfigError: unknown key, wrong type, or the dataclass's own check refused it; one line a mistake.
    """
    strict = with_config(ConfigDict(extra="forbid"))(type(cls.__name__, (cls,), {"__doc__": cls.__doc__}))
    try:
        checked: Any = TypeAdapter(strict).validate_python(dict(values))
    except ValidationError as error:
        fields = sorted({*cls.__dataclass_fields__, *also})
        raise ConfigError(describe(error, where, lambda place: fields if len(place) == 1 else ()))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}")
    return cls(**{name: getattr(checked, name) for name in cls.__dataclass_fields__})
