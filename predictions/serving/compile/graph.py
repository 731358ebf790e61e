"""Adds nodes to the graph that skl2onnx builds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from onnx import TensorProto
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType, StringTensorType, guess_proto_type

# The operators of ai.onnx.ml are written as of this opset, the newest that skl2onnx accepts. See `trees.set_opset`.
ML = "ai.onnx.ml"
ML_WRITTEN = 3


class CannotConvert(ValueError):
    """This kind of estimator cannot be converted."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Adds nodes to skl2onnx's container, each with one output under a unique name."""

    scope: Any
    container: Any

    def add(self, kind: str, inputs: Iterable[str], output: str | None = None, domain: str = "", **options: Any) -> str:
        name = output or self.scope.get_unique_variable_name(kind.lower())
        # None lets skl2onnx choose the version of its own operators.
        version = ML_WRITTEN if domain else None
        unique = self.scope.get_unique_operator_name(kind)
        self.container.add_node(
            kind, list(inputs), [name], op_domain=domain, op_version=version, name=unique, **options
        )
        return name

    def constant(self, kind: int, values: Sequence[Any], shape: Sequence[int] = ()) -> str:
        name: str = self.scope.get_unique_variable_name("constant")
        self.container.add_initializer(name, kind, list(shape), list(values))
        return name

    def table(self, operator: Any, kind: int = TensorProto.DOUBLE) -> str:
        """The operator's inputs as one table of numbers of this kind."""
        columns = [self.add("Cast", [one.full_name], to=kind) for one in operator.inputs]
        return columns[0] if len(columns) == 1 else self.add("Concat", columns, axis=1)

    def classified(self, operator: Any, shares: str) -> None:
        """Add the outputs: the label with the largest share, the first one of a tie, and the shares."""
        classes = operator.raw_operator.classes_
        best = self.add("ArgMax", [shares], axis=1, keepdims=0)
        is_text = classes.dtype.kind not in "iub"
        kind = TensorProto.STRING if is_text else TensorProto.INT64
        known = [str(c).encode() for c in classes] if is_text else [int(c) for c in classes]
        label, probabilities = (output.full_name for output in operator.outputs)
        self.add("Gather", [self.constant(kind, known, [len(known)]), best], label, axis=0)
        self.add("Cast", [shares], probabilities, to=guess_proto_type(operator.outputs[1].type))


def classifier_shapes(operator: Any) -> None:
    classes = operator.raw_operator.classes_
    if classes.dtype.kind not in "iubUO":
        raise CannotConvert("its classes are neither integers nor strings")
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type = (Int64TensorType if classes.dtype.kind in "iub" else StringTensorType)([rows])
    operator.outputs[1].type = DoubleTensorType([rows, len(classes)])
