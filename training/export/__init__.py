"""How does a fitted pipeline leave the training room? As one ONNX graph."""

from training.export.convert import register_converters, to_onnx
from training.export.grid import curves_at

__all__ = ["curves_at", "register_converters", "to_onnx"]
