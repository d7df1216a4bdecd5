"""The measured joints of a policy's target, in its order, wherever they stand in the robot's stream."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from telerig.hardware.errors import DataError
from telerig.hardware.protocols import StreamReader
from telerig.hardware.samples import Sample
from telerig.policies.spec import PolicySpec


def measured(spec: PolicySpec, reader: StreamReader, sample: Sample) -> NDArray[Any]:
    """``(n,)`` rad, found by name where the stream names its joints.

    :raises DataError: a joint is not measured, or the stream has no names and another number of joints.
    """
    values, axes = sample.array(spec.state_field), reader.spec.array(spec.state_field).axes
    if axes and axes != spec.joints:
        if missing := [j for j in spec.joints if j not in axes]:
            raise DataError(f"{spec.state_stream} does not measure {', '.join(missing)}, which the policy needs")
        values = values[[axes.index(j) for j in spec.joints]]
    if values.shape != (spec.size,):
        raise DataError(f"{spec.state_stream}: {len(values)} joints, the policy has {spec.size}")
    return values
