"""From a fitted pipeline to one self-contained ONNX graph, through skl2onnx.

`register_converters` teaches skl2onnx this project's estimators; importing registers nothing.
The graph takes `x` (double [N, p]: level indices and numbers) and gives `survival`,
`survival_lower`, `survival_upper` (double [N, T]) and `risk_score` (double [N]).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.pipeline import Pipeline

from riskscore.model import OUTPUTS
from training.cox import CoxModel
from training.encoding import StudyEncoder
from training.export.cox import convert_cox
from training.export.encoder import convert_encoder, encoder_shape
from training.export.forest import convert_forest, convert_table
from training.export.graph import OPSET, serialised, tables_aside
from training.forest import CompactForest
from training.tabulate import ProfileTable, tabulated

__all__ = ["register_converters", "to_onnx"]


def register_converters() -> None:
    """Teach skl2onnx the encoder, the Cox model and the forest. May be called again."""
    update_registered_converter(
        StudyEncoder, "RiskscoreStudyEncoder", encoder_shape, convert_encoder, overwrite=True
    )
    for model, (_, converter) in _MODELS.items():
        update_registered_converter(
            model, _alias(model), _curves_shape, converter, overwrite=True, parser=_curves_parser
        )


def to_onnx(pipeline: Pipeline, n_predictors: int, name: str, properties: dict[str, str]) -> bytes:
    """Return the graph of a fitted pipeline of `StudyEncoder` and a model.

    Parameters
    ----------
    pipeline : Pipeline
    n_predictors : int
        Columns of `x`.
    name : str
        Name of the graph; without one skl2onnx would invent a random name, and the same model would
        not give the same bytes.
    properties : dict of str
        The manifest's essentials, for a reader who has only this file.
    """
    register_converters()
    with tables_aside() as aside:
        model = convert_sklearn(
            tabulated(pipeline),
            name=name,
            initial_types=[("x", DoubleTensorType([None, n_predictors]))],
            target_opset=OPSET,
        )
    return serialised(model, aside, properties)


def _curves_parser(scope: Any, model: Any, inputs: list[Any], custom_parsers: Any = None) -> Any:
    operator = scope.declare_local_operator(_alias(type(model)), model)
    operator.inputs = inputs
    for name in OUTPUTS:
        operator.outputs.append(scope.declare_local_variable(name, DoubleTensorType()))
    return operator.outputs


def _alias(model: type) -> str:
    return f"Riskscore{model.__name__}"


def _curves_shape(operator: Any) -> None:
    rows = operator.inputs[0].type.shape[0]
    n_times, _ = _MODELS[type(operator.raw_operator)]
    for output in operator.outputs[:-1]:
        output.type = DoubleTensorType([rows, n_times(operator.raw_operator)])
    operator.outputs[-1].type = DoubleTensorType([rows])


_MODELS: dict[type, tuple[Callable[[Any], int], Callable[[Any, Any, Any], None]]] = {
    CoxModel: (lambda model: len(model.efron_.times), convert_cox),
    CompactForest: (lambda model: len(model.times_), convert_forest),
    ProfileTable: (lambda model: model.survival.shape[1], convert_table),
}
"""Number of grid times, and converter, of each model that gives curves."""
