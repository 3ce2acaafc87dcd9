"""Predictions over HTTP: a thin skin over `riskscore`.

The room's question: how does a hospital system ask? All science and all checks of patients are
`riskscore`'s; here are the transport, its limits and its errors. The service itself is
`serving.service:RiskScore`, which alone needs BentoML.
"""

from serving.models import Models
from serving.predict import respond
from serving.problems import Refusal, Reply
from serving.request import PredictRequest, parse_predict

__all__ = ["Models", "PredictRequest", "Refusal", "Reply", "parse_predict", "respond"]
