"""How a body policy is refused, and manifests spoilt for it."""

from __future__ import annotations

import pytest

from telerig.hardware.errors import ConfigError
from telerig.policies.body.load import body_policy


def refusal(name, g1, **how):
    """The line with which a policy is refused."""
    with pytest.raises(ConfigError) as error:
        body_policy(name, g1, **how)
    text = str(error.value)
    assert "\n" not in text, text
    return text


def swap(items, a, b):
    items[a], items[b] = items[b], items[a]


def spoil(path, value):
    """A function that sets one key, e.g. ``("command", "vx", "range")``, of the tables."""

    def change(tables):
        for key in path[:-1]:
            tables = tables[key]
        tables[path[-1]] = value

    return change
