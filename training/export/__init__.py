"""How does a fitted pipeline leave the training room? As one ONNX graph."""

from training.export.convert import register_converters, to_onnx

__all__ = ["register_converters", "to_onnx"]
