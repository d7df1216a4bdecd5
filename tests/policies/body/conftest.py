"""The robot is compiled once for all tests of its training."""

from __future__ import annotations

from typing import Any

import pytest

from telerig.policies.body.train.config import BodyConfig
from telerig.policies.body.train.physics import compile_model
from telerig.policies.body.train.pose import HeightTable, height_table


@pytest.fixture(scope="session")
def nominal() -> Any:
    return compile_model(BodyConfig())


@pytest.fixture(scope="session")
def table(nominal: Any) -> HeightTable:
    return height_table(nominal)
