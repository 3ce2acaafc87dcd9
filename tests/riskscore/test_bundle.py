"""A bundle is verified before it is believed, and written whole or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from riskscore import load_model
from riskscore.bundle import (
    HASHED,
    LIMITS,
    find_bundle,
    open_bundle,
    write_bundle,
    written_by_people,
)
from riskscore.errors import BundleError
from riskscore.manifest import FORMAT


@pytest.fixture
def copy(cox_bundle: Path, tmp_path: Path) -> Path:
    """Return a bundle that a test may damage."""
    return Path(shutil.copytree(cox_bundle, tmp_path / "bundle"))


def edit(bundle: Path, **changes: Any) -> None:
    """Change keys of the manifest; a value of None removes the key."""
    file = bundle / "manifest.json"
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def test_a_manifest_survives_a_round_trip(copy: Path) -> None:
    """What is read is what was written, and the digest is the same."""
    first = open_bundle(copy).manifest
    again = type(first).from_dict(json.loads(json.dumps(first.to_dict())), "again")
    assert again == first
    assert again.digest == first.digest


def test_the_digest_ignores_the_timestamp_alone(copy: Path) -> None:
    """Fitting again on another day gives the same identity; another statement does not."""
    digest = open_bundle(copy).manifest.digest
    edit(copy, created="2000-01-01T00:00:00+00:00")
    assert open_bundle(copy).manifest.digest == digest
    edit(copy, statement="Another statement.")
    assert open_bundle(copy).manifest.digest != digest


def test_an_attachment_does_not_change_the_model(copy: Path) -> None:
    """Cards and reviews may be added to a finished bundle."""
    digest = open_bundle(copy).manifest.digest
    (copy / "card.md").write_text("# Card")
    assert open_bundle(copy).manifest.digest == digest


@pytest.mark.parametrize("name", ["model.onnx", "inference.json", "evaluation.json"])
def test_a_changed_file_is_refused(copy: Path, name: str) -> None:
    """One flipped byte is found, and the file is named."""
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(BundleError, match=f"{name} does not match its hash.*fit the model again"):
        open_bundle(copy)


@pytest.mark.parametrize("name", ["model.onnx", "inference.json"])
def test_a_truncated_or_missing_file_is_refused(copy: Path, name: str) -> None:
    """Half a file does not load, nor does none."""
    (copy / name).write_bytes((copy / name).read_bytes()[:100])
    with pytest.raises(BundleError, match=f"{name} does not match its hash"):
        open_bundle(copy)
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing or unreadable; restore the bundle"):
        open_bundle(copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": FORMAT + 1}, "bundle format 2, this version reads 1; upgrade riskscore"),
        ({"format": 0}, "bundle format 0, .*write the bundle again"),
        ({"format": None}, "bundle format None"),
        ({"times": None, "kind": None}, "manifest.json lacks kind, times"),
        ({"times": ["x"]}, "manifest.json cannot be read: times must be a finite number"),
        ({"study": {"format": 1}}, r"manifest.json cannot be read: (.|\n)*study is required"),
        ({"times": []}, "manifest.json cannot be read: times is empty"),
        ({"times": [3, 2, 5]}, "times must be finite and ascend"),
        ({"training": None}, "manifest.json lacks training|training must be a table"),
        (
            {"risk_groups": {"labels": ["a", "b", "c"], "cut_points": [2, 1]}},
            "cut_points must ascend",
        ),
        ({"risk_groups": {"labels": "ab", "cut_points": [1]}}, "one label more than cut_points"),
        ({"at_risk": [3]}, "at_risk must have one count for each of times"),
        ({"at_risk_at_horizons": [3]}, "at_risk_at_horizons must have one count for each horizon"),
        ({"follow_up_limit": 3.0}, "follow_up_limit must reach every horizon"),
        ({"files": 3}, "files must be a table"),
        ({"intervals": {}}, "manifest.json cannot be read: no 'available'"),
        ({"envelope": {"ranges": {}, "combinations": [[0]]}}, "one level a category"),
        ({"risk_groups": {"labels": ["low"]}}, "manifest.json cannot be read: no 'cut_points'"),
        ({"risk_groups": {"labels": ["low"], "cut_points": [1]}}, "one label more than cut_points"),
        ({"format": True}, "bundle format True, this version reads 1"),
        ({"id": "deb-tace-hcc/ttp/cox"}, "id must be deb-tace-hcc/os/ and a name"),
        ({"kind": ["cox"]}, "kind must be a text"),
        ({"grid": "every day"}, "grid must be one of every event time, thinned"),
        ({"times": [-1.0, 2.0]}, "times must be finite and ascend from above 0"),
        ({"times": [True]}, "times must be a finite number"),
        ({"times": "3"}, "times must be a list of numbers"),
        ({"times": {"a": 1}}, "times must be a list of numbers"),
        ({"follow_up_limit": "long"}, "follow_up_limit must be a finite number"),
        ({"at_risk": [3.5]}, "at_risk must be counts"),
        ({"at_risk_at_horizons": [9, 80, 19, 9]}, "at_risk must never rise"),
        ({"intervals": {"available": "yes"}}, "intervals.available must be true or false"),
        ({"intervals": {"available": True, "method": "x", "level": 95}}, "level must be between"),
        ({"training": {}}, "manifest.json cannot be read: no 'cohort'"),
        ({"training": {"cohort": {"kind": "dreamt"}}}, "training.cohort.kind must be one of"),
        ({"envelope": []}, "envelope must be a table"),
        (
            {"envelope": {"ranges": {}, "combinations": [[0, 0, 0, 7]]}},
            "combinations must have levels that there are",
        ),
        ({"files": {"model.onnx": 3}}, "files must give a SHA-256"),
        ({"files": {"model.onnx": "0" * 64}}, "no hash of evaluation.json, inference.json"),
        (
            {"files": dict.fromkeys(("../x", *HASHED), "0" * 64)},
            "not a plain file name",
        ),
    ],
)  # fmt: skip
def test_a_manifest_that_cannot_be_read_says_why(
    copy: Path, changes: dict[str, Any], message: str
) -> None:
    """Format, keys and types are checked before anything is used."""
    edit(copy, **changes)
    with pytest.raises(BundleError, match=message):
        open_bundle(copy)


@pytest.mark.parametrize("kind", ["cox_bundle", "forest_bundle"])
def test_a_manifest_may_not_contradict_itself(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Times in another unit, and risk groups the wrong way round, are seen without any hash."""
    copy = Path(shutil.copytree(request.getfixturevalue(kind), tmp_path / "bundle"))
    manifest = open_bundle(copy).manifest
    labels = list(reversed(manifest.risk_groups["labels"]))
    edit(copy, risk_groups={**manifest.risk_groups, "labels": labels})
    with pytest.raises(BundleError, match="risk_groups.labels must be, lowest risk first"):
        open_bundle(copy)
    longer = {"times": [10 * t for t in manifest.times], "follow_up_limit": 1000.0}
    edit(copy, risk_groups=manifest.risk_groups, **longer)
    with pytest.raises(BundleError, match="at_risk must never rise"):
        open_bundle(copy)


def test_the_graph_holds_the_hash_of_the_manifest(copy: Path) -> None:
    """Whatever is changed in the manifest, the graph is no longer its own; a date is not."""
    edit(copy, created="2000-01-01T00:00:00+00:00")
    load_model(copy)
    manifest = open_bundle(copy).manifest
    edit(copy, risk_groups={**manifest.risk_groups, "rule": "by another rule"})
    with pytest.raises(BundleError, match=r"does not describe model.onnx \(its hash\)"):
        load_model(copy)


def test_a_manifest_that_is_no_json_is_refused(copy: Path) -> None:
    """Neither broken text nor a list is a manifest."""
    (copy / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match="manifest.json is not JSON"):
        open_bundle(copy)
    (copy / "manifest.json").write_text("[]")
    with pytest.raises(BundleError, match="bundle format None"):
        open_bundle(copy)


def test_an_unknown_model_lists_those_shipped(tmp_path: Path) -> None:
    """An id that is not shipped and a path without a bundle are told apart."""
    with pytest.raises(BundleError, match="no shipped model is called a/b/c; shipped models: "):
        find_bundle("a/b/c")
    with pytest.raises(BundleError, match="no manifest.json in "):
        find_bundle(tmp_path)
    with pytest.raises(BundleError, match="no manifest.json in ./nowhere"):
        find_bundle("./nowhere")


def test_a_bundle_replaces_an_older_one_whole(copy: Path) -> None:
    """Writing again leaves one bundle and nothing partial beside it."""
    bundle = open_bundle(copy)
    files = {name: (copy / name).read_bytes() for name in bundle.manifest.files}
    write_bundle(copy, bundle.manifest, files | {"evaluation.json": b"{}\n"})
    assert open_bundle(copy).read("evaluation.json") == {}
    assert [p.name for p in copy.parent.iterdir()] == ["bundle"]


def test_a_folder_that_is_no_bundle_is_not_overwritten(copy: Path, tmp_path: Path) -> None:
    """A wrong --out does not cost anybody their files."""
    bundle = open_bundle(copy)
    files = {name: (copy / name).read_bytes() for name in bundle.manifest.files}
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.txt").write_text("years of work")
    with pytest.raises(BundleError, match="exists and is not a bundle; choose another --out"):
        write_bundle(other, bundle.manifest, files)
    assert (other / "chapter.txt").read_text() == "years of work"
    with pytest.raises(BundleError, match="a bundle needs inference.json"):
        write_bundle(tmp_path / "new", bundle.manifest, {"model.onnx": b"", "evaluation.json": b""})
    assert not (tmp_path / "new").exists()


def test_what_people_wrote_stays_and_cards_of_the_older_bundle_go(copy: Path) -> None:
    """A refit keeps review, statements and external validations to the byte, and no old card."""
    bundle = open_bundle(copy)
    files = {name: (copy / name).read_bytes() for name in bundle.manifest.files}
    written = {
        "review.toml": "approved", "statements.toml": "ours", "external/here.json": "{}",
    }  # fmt: skip
    (copy / "external").mkdir(exist_ok=True)
    for name, text in written.items():
        (copy / name).write_text(text)
    cards = ("card.md", "card.html", "card.chai.xml", "card.json")
    for name in cards:
        (copy / name).write_text("of the older bundle")
    write_bundle(copy, bundle.manifest, files)
    assert {name: (copy / name).read_text() for name in written_by_people(copy)} == written
    assert not [name for name in cards if (copy / name).exists()]


def test_a_file_of_unknown_origin_is_not_lost(copy: Path, tmp_path: Path) -> None:
    """Anything else beside a model stops a refit, and so does another program's manifest."""
    bundle = open_bundle(copy)
    files = {name: (copy / name).read_bytes() for name in bundle.manifest.files}
    (copy / "minutes.docx").write_text("what the committee said")
    with pytest.raises(BundleError, match=r"holds minutes.docx, which cannot be made again"):
        write_bundle(copy, bundle.manifest, files)
    assert (copy / "minutes.docx").exists()
    page = tmp_path / "page"
    page.mkdir()
    (page / "manifest.json").write_text('{"name": "a web page", "start_url": "/"}')
    with pytest.raises(BundleError, match="exists and is not a bundle"):
        write_bundle(page, bundle.manifest, files)


def test_a_writer_that_was_killed_costs_nothing(copy: Path, tmp_path: Path) -> None:
    """Killed between its two renames, or while writing: the next one finds all of it again."""
    bundle = open_bundle(copy)
    files = {name: (copy / name).read_bytes() for name in bundle.manifest.files}
    (copy / "review.toml").write_text("approved")
    half = tmp_path / ".partial-bundle"
    half.mkdir()
    (half / "model.onnx").write_bytes(b"half")
    copy.replace(tmp_path / ".old-bundle")
    write_bundle(copy, bundle.manifest, files)
    assert (copy / "review.toml").read_text() == "approved"
    assert open_bundle(copy).manifest == bundle.manifest
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_nothing_is_written_when_writing_fails(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk leaves the old bundle as it was."""
    bundle = open_bundle(copy)
    files = {name: (copy / name).read_bytes() for name in bundle.manifest.files}
    whole = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if self.name.startswith(".partial-"):
            raise OSError("disk full")
        return whole(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_bundle(copy, bundle.manifest, files)
    assert open_bundle(copy).manifest == bundle.manifest
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_what_could_not_be_read_is_not_written(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file above its limit is refused before anything is written."""
    bundle = open_bundle(copy)
    files = {name: (copy / name).read_bytes() for name in bundle.manifest.files}
    monkeypatch.setitem(LIMITS, "model.onnx", 100)
    with pytest.raises(BundleError, match="model.onnx would have [0-9,]+ bytes, more than"):
        write_bundle(tmp_path / "new", bundle.manifest, files)
    assert not (tmp_path / "new").exists()
