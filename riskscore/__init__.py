"""Prognostic survival models a clinic can check, run and trust.

>>> from riskscore import load_model
>>> load_model("deb-tace-hcc/os/cox").manifest.outcome.label
'Overall survival'
"""

import os

# From 1.29 on, onnxruntime leaves a device's number at home and reports model, hashes and run times
# to its makers, unless this is set before it is first imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from riskscore.errors import (
    BundleError,
    InputError,
    ModelError,
    Problem,
    RiskscoreError,
    StudyError,
)
from riskscore.manifest import Manifest
from riskscore.model import RiskModel, load_model
from riskscore.prediction import Prediction

__version__ = "0.1.0"

__all__ = [
    "BundleError",
    "InputError",
    "Manifest",
    "ModelError",
    "Prediction",
    "Problem",
    "RiskModel",
    "RiskscoreError",
    "StudyError",
    "load_model",
]
