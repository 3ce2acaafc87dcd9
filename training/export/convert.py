"""From a fitted pipeline to one self-contained ONNX graph, through skl2onnx.

`register_converters` teaches skl2onnx this project's estimators, and every model of scikit-survival
that has a survival function; importing registers nothing. A graph gives `survival`,
`survival_lower`, `survival_upper` (double [N, T]) and `risk_score` (double [N], higher is worse);
bounds are NaN where the model has no interval. Those that `to_onnx` makes take `x` (double [N, p]:
level indices and numbers).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.pipeline import Pipeline
from sksurv.ensemble import (
    ComponentwiseGradientBoostingSurvivalAnalysis,
    ExtraSurvivalTrees,
    GradientBoostingSurvivalAnalysis,
    RandomSurvivalForest,
)
from sksurv.linear_model import CoxnetSurvivalAnalysis, CoxPHSurvivalAnalysis
from sksurv.tree import ExtraSurvivalTree, SurvivalTree

from riskscore.errors import ModelError
from riskscore.graph import OUTPUTS, ROWS_AT_ONCE
from riskscore.graph_check import check_graph
from riskscore.onnx_file import OnnxError, read_graph
from riskscore.study import Predictor
from training.cox import CoxModel
from training.encoding import StudyEncoder
from training.export.cox import convert_cox
from training.export.encoder import convert_encoder, encoder_shape
from training.export.forest import convert_forest, convert_table
from training.export.graph import OPSET, serialised, tables_aside
from training.export.grid import positions_of
from training.export.guard import guard
from training.export.hazards import convert_boosting, convert_linear
from training.export.survival_tree import convert_survival_trees
from training.forest import CompactForest
from training.tabulate import ProfileTable, tabulated

__all__ = ["SCIKIT_SURVIVAL", "register_converters", "to_onnx"]


def register_converters() -> None:
    """Teach skl2onnx this project's estimators and scikit-survival's. May be called again.

    Afterwards `skl2onnx.to_onnx` and `convert_sklearn` take pipelines that end in
    CoxPHSurvivalAnalysis, CoxnetSurvivalAnalysis (fitted with a baseline), SurvivalTree,
    ExtraSurvivalTree, RandomSurvivalForest, ExtraSurvivalTrees (not low_memory), or
    GradientBoostingSurvivalAnalysis or ComponentwiseGradientBoostingSurvivalAnalysis (loss
    "coxph"). Curves are on the model's `unique_times_`; convert `with curves_at([6, 12]):` to have
    others, or another of Coxnet's `alphas_` than the last.

    A number that is missing or infinite gives NaN where scikit-survival would refuse it; trees and
    forests send a missing one where they were fitted to.

    Examples
    --------
    >>> import numpy as np
    >>> from skl2onnx import to_onnx
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sksurv.linear_model import CoxPHSurvivalAnalysis
    >>> from sksurv.util import Surv
    >>> X = np.array([[50.0], [60], [70], [80], [55], [65]])
    >>> y = Surv.from_arrays([1, 1, 1, 1, 0, 1], [9.0, 7, 2, 4, 8, 5])
    >>> pipeline = make_pipeline(StandardScaler(), CoxPHSurvivalAnalysis()).fit(X, y)
    >>> register_converters()
    >>> [output.name for output in to_onnx(pipeline, X[:1]).graph.output]
    ['survival', 'survival_lower', 'survival_upper', 'risk_score']
    """
    update_registered_converter(
        StudyEncoder, "RiskscoreStudyEncoder", encoder_shape, convert_encoder, overwrite=True
    )
    for model, (_, converter) in _MODELS.items():
        _register(model, converter, _curves_shape)
    for model, converter in SCIKIT_SURVIVAL.items():
        _register(model, converter, _scikit_survival_shape)


def to_onnx(
    pipeline: Pipeline,
    n_predictors: int,
    name: str,
    properties: dict[str, str],
    guarded: Sequence[Predictor] = (),
) -> bytes:
    """Return the graph of a fitted pipeline that ends in a model.

    Parameters
    ----------
    pipeline : Pipeline
    n_predictors : int
        Columns of `x`.
    name : str
        Name of the graph; without one skl2onnx would invent a random name, and the same model would
        not give the same bytes.
    properties : dict of str
        `Manifest.properties`, for a reader who has only this file.
    guarded : sequence of Predictor
        The study's predictors, for steps that do not themselves answer NaN to a row that is no
        patient, as `StudyEncoder` and the models of this project do.

    Raises
    ------
    ModelError
        If the steps need operators that no bundle may use, or compute too much.
    """
    register_converters()
    with tables_aside() as aside:
        model = convert_sklearn(
            tabulated(pipeline) if isinstance(pipeline[-1], CompactForest) else pipeline,
            name=name,
            initial_types=[("x", DoubleTensorType([None, n_predictors]))],
            target_opset=OPSET,
        )
    if guarded:
        guard(model, guarded)
    graph = serialised(model, aside, properties)
    try:
        check_graph(read_graph(graph), ROWS_AT_ONCE, n_predictors)
    except OnnxError as error:
        raise ModelError(
            f"no bundle would load with this graph: it {error}; replace the step that needs it"
        ) from error
    return graph


def _register(model: type, converter: Any, shape: Any) -> None:
    alias = _alias(model)
    update_registered_converter(
        model, alias, shape, converter, overwrite=True, parser=_curves_parser
    )


def _curves_parser(scope: Any, model: Any, inputs: list[Any], custom_parsers: Any = None) -> Any:
    operator = scope.declare_local_operator(_alias(type(model)), model)
    operator.inputs = inputs
    for name in OUTPUTS:
        operator.outputs.append(scope.declare_local_variable(name, DoubleTensorType()))
    return operator.outputs


def _alias(model: type) -> str:
    return f"Riskscore{model.__name__}"


def _curves_shape(operator: Any) -> None:
    n_times, _ = _MODELS[type(operator.raw_operator)]
    _declare(operator, n_times(operator.raw_operator))


def _scikit_survival_shape(operator: Any) -> None:
    _declare(operator, len(positions_of(operator.raw_operator)))


def _declare(operator: Any, n_times: int) -> None:
    rows = operator.inputs[0].type.shape[0]
    for output in operator.outputs[:-1]:
        output.type = DoubleTensorType([rows, n_times])
    operator.outputs[-1].type = DoubleTensorType([rows])


_MODELS: dict[type, tuple[Callable[[Any], int], Callable[[Any, Any, Any], None]]] = {
    CoxModel: (lambda model: len(model.sums_.times), convert_cox),
    CompactForest: (lambda model: len(model.times_), convert_forest),
    ProfileTable: (lambda model: model.survival.shape[1], convert_table),
}
"""Number of grid times, and converter, of each model of this project that gives curves."""

SCIKIT_SURVIVAL: dict[type, Callable[[Any, Any, Any], None]] = {
    CoxPHSurvivalAnalysis: convert_linear,
    CoxnetSurvivalAnalysis: convert_linear,
    ComponentwiseGradientBoostingSurvivalAnalysis: convert_linear,
    GradientBoostingSurvivalAnalysis: convert_boosting,
    SurvivalTree: convert_survival_trees,
    ExtraSurvivalTree: convert_survival_trees,
    RandomSurvivalForest: convert_survival_trees,
    ExtraSurvivalTrees: convert_survival_trees,
}
"""Converter of each model of scikit-survival that gives curves."""
