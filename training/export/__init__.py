"""How does a fitted pipeline leave the training room? As one ONNX graph."""

from training.export.convert import register_converters, to_onnx
from training.export.grid import curves_at
from training.export.pipeline import export

__all__ = ["curves_at", "export", "register_converters", "to_onnx"]
