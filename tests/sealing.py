"""Making a bundle that a test changed agree with itself again."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import onnx

from riskscore.manifest import CONTENT_HASH, Manifest

__all__ = ["seal"]


def seal(bundle: Path, *, essentials: bool = True) -> None:
    """Write the manifest's hash into the graph, and every file's hash into the manifest.

    What someone would do who changes a bundle and wants nobody to see it; its digest is another.
    `essentials`: whether what the graph repeats of the manifest is written into it again too.
    """
    content = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    model = onnx.ModelProto.FromString((bundle / "model.onnx").read_bytes())
    manifest = Manifest.from_dict(content, str(bundle))
    stated = {entry.key: entry.value for entry in model.metadata_props}
    again = manifest.essentials() if essentials else {}
    properties = stated | again | {CONTENT_HASH: manifest.content_hash}
    onnx.helper.set_model_props(model, properties)
    (bundle / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    content["files"] = {
        name: sha256((bundle / name).read_bytes()).hexdigest() for name in content["files"]
    }
    (bundle / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
