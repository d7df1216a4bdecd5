"""A manifest's tables as TOML that people can read: one joint a line, long rows of numbers wrapped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 118


def manifest_text(tables: Mapping[str, Any], remark: str = "") -> str:
    """The tables, which ``tomllib`` reads back as they are; ``remark`` stands on top as a comment."""
    lines = [f"# {line}" for line in remark.splitlines()]
    _table(tables, (), lines)
    return "\n".join(lines) + "\n"


def _table(tables: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    """Plain values first, as TOML wants it, then tables, then lists of tables that stand on their own."""
    below = {k: v for k, v in tables.items() if isinstance(v, Mapping) and not _is_row(v)}
    lists = {k: v for k, v in tables.items() if _is_tables(v) and path}
    for key, value in tables.items():
        if key not in below and key not in lists:
            lines += _entry(key, value)
    for key, value in below.items():
        lines += ["", f"[{'.'.join((*path, key))}]"]
        _table(value, (*path, key), lines)
    for key, value in lists.items():
        for item in value:
            lines += ["", f"[[{'.'.join((*path, key))}]]"]
            _table(item, (*path, key), lines)


def _is_tables(value: Any) -> bool:
    return isinstance(value, Sequence) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _is_row(value: Mapping[str, Any]) -> bool:
    """A table that fits on a line: a joint, a command, a wave's amplitudes."""
    return all(not isinstance(v, Mapping) for v in value.values()) and len(_inline(value)) <= WIDTH - 20


def _entry(key: str, value: Any) -> list[str]:
    line = f"{key} = {_inline(value)}"
    if len(line) <= WIDTH or not isinstance(value, Sequence) or isinstance(value, str):
        return [line]
    lines, row = [f"{key} = ["], " "
    for item in map(_inline, value):
        if len(row) + len(item) > WIDTH or (item.startswith("{") and row != " "):
            lines.append(row)
            row = " "
        row += f" {item},"
    return [*lines, row, "]"]


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_inline(v)}" for k, v in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_inline(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)
