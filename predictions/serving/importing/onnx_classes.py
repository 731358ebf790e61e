"""Finds the classes of a classifier in its ONNX graph."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

# Attributes in which operators name the classes.
_ATTRIBUTES = ("classlabels_strings", "classlabels_int64s", "classlabels_ints", "values_strings", "values_int64s")
# These operators give their first input in another shape or type.
_SAME_VALUES = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
# These give the values of their first input at given positions.
_LOOKUPS = ("ArrayFeatureExtractor", "Gather")


def classes_of(path: Path) -> list[Any]:
    """The classes in the order of the probabilities; empty if the graph names none.

    The label is followed back to the operator or the table that names it: the graph of an ensemble also has the classes
    of its members. A graph that ends in an unknown way has the classes that its last operator names.
    """
    graph = onnx.load(path).graph
    return _named_by_label(graph) or next(filter(None, map(_attribute, reversed(graph.node))), [])


def _named_by_label(graph: Any) -> list[Any]:
    makers = {output: node for node in graph.node for output in node.output}
    tables = {table.name: numpy_helper.to_array(table) for table in graph.initializer}
    node = makers.get(graph.output[0].name)
    while node is not None:
        if found := _attribute(node):
            return found
        if node.op_type in _LOOKUPS and node.input[0] in tables:
            return _texts(tables[node.input[0]].ravel().tolist())
        node = makers.get(node.input[0]) if node.op_type in _SAME_VALUES else None
    return []


def _attribute(node: Any) -> list[Any]:
    named = (attribute for attribute in node.attribute if attribute.name in _ATTRIBUTES)
    return next((_texts(list(one.strings) or list(one.ints)) for one in named if one.strings or one.ints), [])


def _texts(values: Sequence[Any]) -> list[Any]:
    return [value.decode() if isinstance(value, bytes) else value for value in values]
