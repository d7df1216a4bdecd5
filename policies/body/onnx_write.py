"""A feed-forward network as an ONNX file: observations normalised and clipped inside, then layers with ELU between them.

Written field by field (onnx.proto3), so that no ONNX package is needed; opset 17, IR version 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from telerig.policies.protobuf_wire import field, fields

Array = NDArray[np.float32]

OPSET, IR_VERSION = 17, 8
INPUT, OUTPUT = "observation", "action"
_FLOAT, _INT = 1, 2  # TensorProto.FLOAT, AttributeProto.INT


def network_file(
    mean: Array, deviation: Array, clip: float, layers: Sequence[tuple[Array, Array]], metadata: Mapping[str, str]
) -> bytes:
    """The file's bytes: ``(batch, n)`` float32 → ``(batch, m)``.

    :param mean, deviation: ``(n,)`` of the observation; ``clip``: bound of the normalised one.
    :param layers: weight ``(out, in)``, bias ``(out,)``, first to last.
    :param metadata: texts kept in the file.
    """
    constants = {"mean": mean, "deviation": deviation, "low": np.float32(-clip), "high": np.float32(clip)}
    nodes = [
        _node("Sub", (INPUT, "mean"), "centred"),
        _node("Div", ("centred", "deviation"), "normal"),
        _node("Clip", ("normal", "low", "high"), "layer_0"),
    ]
    for i, (weight, bias) in enumerate(layers):
        constants |= {f"weight_{i}": weight, f"bias_{i}": bias}
        last = i == len(layers) - 1
        made = OUTPUT if last else f"sum_{i}"
        nodes.append(_node("Gemm", (f"layer_{i}", f"weight_{i}", f"bias_{i}"), made, transB=1))
        if not last:
            nodes.append(_node("Elu", (made,), f"layer_{i + 1}"))
    graph = fields(1, nodes) + field(2, "body_policy")
    graph += fields(5, (_tensor(name, np.asarray(value, np.float32)) for name, value in constants.items()))
    graph += field(11, _value(INPUT, len(mean))) + field(12, _value(OUTPUT, len(layers[-1][1])))
    model = field(1, IR_VERSION) + field(2, "telerig") + field(7, graph) + field(8, field(1, "") + field(2, OPSET))
    return model + fields(14, (field(1, key) + field(2, text) for key, text in metadata.items()))


def _node(kind: str, inputs: Sequence[str], output: str, **integers: int) -> bytes:
    attributes = (field(1, name) + field(3, value) + field(20, _INT) for name, value in integers.items())
    return fields(1, inputs) + field(2, output) + field(3, output) + field(4, kind) + fields(5, attributes)


def _tensor(name: str, array: Array) -> bytes:
    little = np.ascontiguousarray(array, "<f4")
    return fields(1, array.shape) + field(2, _FLOAT) + field(8, name) + field(9, little.tobytes())


def _value(name: str, size: int) -> bytes:
    shape = field(1, field(2, "batch")) + field(1, field(1, size))
    return field(1, name) + field(2, field(1, field(1, _FLOAT) + field(2, shape)))
