"""The bundle's graph, opened for prediction and compared with what the manifest says of it."""

from __future__ import annotations

import onnxruntime as ort

from riskscore.bundle import Bundle
from riskscore.errors import BundleError
from riskscore.graph_check import check_graph
from riskscore.manifest import CONTENT_HASH
from riskscore.onnx_file import OnnxError, read_graph

__all__ = ["OUTPUTS", "ROWS_AT_ONCE", "open_graph"]

OUTPUTS = ("survival", "survival_lower", "survival_upper", "risk_score")

ROWS_AT_ONCE = 128
"""Rows given to the graph at once: a forest holds rows x trees x times numbers while it runs."""

# For a program that has imported onnxruntime before us, so that the variable that `riskscore` sets
# came too late: nothing more is reported.
ort.disable_telemetry_events()


def open_graph(bundle: Bundle) -> ort.InferenceSession:
    """Return a session over the graph.

    Raises
    ------
    BundleError
        If it cannot be read, keeps part of itself elsewhere, uses operators that no export uses,
        computes too much, or is not what the manifest describes.
    """
    try:
        check_graph(read_graph(bundle.graph), ROWS_AT_ONCE, len(bundle.manifest.predictors))
    except OnnxError as error:
        raise BundleError(f"{bundle.path}: model.onnx {error}; write the bundle again") from error
    options = ort.SessionOptions()
    # One thread: the same sums in the same order whatever the machine, and no pool to wake up for
    # one patient. Many rows are spread over processes, not threads.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised; a log would repeat a patient's values
    # Only what was checked is run.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        session = ort.InferenceSession(bundle.graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no public base
        reason = " ".join(str(error).split())[:300]
        raise BundleError(f"{bundle.path}: onnxruntime cannot read model.onnx: {reason}") from error
    try:
        _check_interface(bundle, session)
        _check_agreement(bundle, session)
    except UnicodeDecodeError as error:
        raise BundleError(
            f"{bundle.path}: model.onnx has a text that is not UTF-8; write the bundle again"
        ) from error
    return session


def _check_interface(bundle: Bundle, session: ort.InferenceSession) -> None:
    """Refuse a graph of other inputs and outputs than every model has."""
    found = tuple(output.name for output in session.get_outputs())
    if set(found) != set(OUTPUTS) or [i.name for i in session.get_inputs()] != ["x"]:
        raise BundleError(
            f"{bundle.path}: model.onnx must take x and give {', '.join(OUTPUTS)}; "
            f"it gives {', '.join(found)}: write the bundle again"
        )
    types = {value.type for value in (*session.get_inputs(), *session.get_outputs())}
    if types != {"tensor(double)"}:
        raise BundleError(
            f"{bundle.path}: model.onnx must take and give double precision, not "
            f"{', '.join(sorted(types))}; write the bundle again"
        )


def _check_agreement(bundle: Bundle, session: ort.InferenceSession) -> None:
    """Refuse a manifest that describes another graph: it would mislabel every answer."""
    stated = session.get_modelmeta().custom_metadata_map
    differ = [
        key for key, value in bundle.manifest.essentials().items() if stated.get(key) != value
    ]
    shapes = {value.name: value.shape for value in (*session.get_inputs(), *session.get_outputs())}
    if any(shapes[name][1:] != [len(bundle.manifest.times)] for name in OUTPUTS[:-1]):
        differ.append("times")
    if shapes["x"][1:] != [len(bundle.manifest.predictors)]:
        differ.append("number of predictors")
    own = stated.get(CONTENT_HASH)
    if not differ and own is not None and own != bundle.manifest.content_hash:
        differ.append("hash")
    if differ:
        raise BundleError(
            f"{bundle.path}: manifest.json does not describe model.onnx (its {', '.join(differ)}); "
            "one of them was changed: restore the bundle, or fit the model again"
        )
