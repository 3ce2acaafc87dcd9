"""What a server is packed from."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from riskscore.bundle import shipped_bundles

ROOT = Path(__file__).parents[2]


def locked(path: Path) -> dict[str, str]:
    """Return each requirement of a lock file, with its hashes."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
    blocks = re.split(r"\n(?=\S)", text.replace("\\\n", "\n"))
    return {
        words[0] + " ".join(w for w in words[1:] if not w.startswith("--hash")): " ".join(
            sorted(w for w in words if w.startswith("--hash"))
        )
        for block in blocks
        if (words := block.split())
    }


def test_a_server_is_locked_to_what_was_tested() -> None:
    """Its lock is part of the project's, versions and hashes alike, with nothing of training."""
    server, project = locked(ROOT / "serving/requirements.lock"), locked(ROOT / "requirements.lock")
    names = {key.split("==")[0]: key for key in server}
    everything = {(key.split(";")[0].strip(), hashes) for key, hashes in project.items()}
    assert {(key.split(";")[0].strip(), hashes) for key, hashes in server.items()} <= everything
    assert {"bentoml", "onnxruntime", "numpy", "uvloop", "httptools", "orjson"} <= set(names)
    assert not {"scikit-survival", "scikit-learn", "skl2onnx", "onnx", "lifelines"} & set(names)
    assert all("--hash=sha256:" in hashes for hashes in server.values())


def test_a_lock_pins_what_is_asked_with_extras() -> None:
    """Pip looks for the newest release of a package with extras that are not in the lock's line."""
    pinned: dict[str, set[str]] = {}
    for key in locked(ROOT / "requirements.lock"):
        pin = Requirement(key.split(";")[0])
        pinned.setdefault(pin.name, set()).update(pin.extras)
    asked = 0
    for name in pinned:
        try:
            requires = metadata.requires(name) or ()
        except metadata.PackageNotFoundError:  # for another system
            continue
        for wanted in map(Requirement, requires):
            here = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
            if here and wanted.extras and canonicalize_name(wanted.name) in pinned:
                asked += 1
                assert wanted.extras <= pinned[canonicalize_name(wanted.name)], (name, wanted)
    assert asked


def test_a_lock_names_no_address() -> None:
    """Where packages come from is the machine's to say."""
    for name in ("serving/requirements.lock", "requirements.lock"):
        assert "://" not in (ROOT / name).read_text()


def test_the_image_is_not_root_and_holds_no_training() -> None:
    """Of the checkout two rooms and the cards go in; the process is somebody without rights."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [
        line.split()[1] for line in lines if line.startswith("COPY ") and "--from" not in line
    ]
    cards = {f"model_cards/{name.split('/')[0]}" for name in shipped_bundles()}
    assert set(copied) == {
        "serving/requirements.lock", "build/wheelhouse", "riskscore", "serving", *cards
    }  # fmt: skip
    assert "USER 10001" in lines
    assert lines.index("USER 10001") < next(i for i, x in enumerate(lines) if x.startswith("CMD"))
