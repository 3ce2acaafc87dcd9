"""A bundle's files are read once and with care: nothing hangs, leaves it or fills the memory."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from riskscore import load_model
from riskscore.bundle import LIMITS, find_bundle, open_bundle
from riskscore.errors import BundleError
from riskscore.files import parse_json
from riskscore.review import review_of

HASHED = ("manifest.json", "model.onnx", "inference.json", "evaluation.json")
links = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX's")


@pytest.fixture
def copy(cox_bundle: Path, tmp_path: Path) -> Path:
    """Return a bundle that a test may damage."""
    return Path(shutil.copytree(cox_bundle, tmp_path / "bundle"))


@links
@pytest.mark.parametrize("name", [*HASHED, "review.toml"])
def test_a_named_pipe_is_refused_and_not_waited_for(copy: Path, name: str) -> None:
    """Opening a pipe that nobody writes to would hang."""
    (copy / name).unlink(missing_ok=True)
    os.mkfifo(copy / name)
    pattern = "no manifest.json in" if name == "manifest.json" else f"{name} must be a regular file"
    with pytest.raises(BundleError, match=pattern):
        load_model(copy)


@links
@pytest.mark.parametrize("name", [*HASHED, "review.toml"])
def test_a_device_is_refused_and_not_read(copy: Path, name: str) -> None:
    """/dev/zero never ends."""
    (copy / name).unlink(missing_ok=True)
    (copy / name).symlink_to("/dev/zero")
    pattern = {
        "manifest.json": "no manifest.json in",
        "review.toml": "review.toml must not lead out of the bundle's directory",
    }.get(name, f"{name} must be a regular file, it is a device")
    with pytest.raises(BundleError, match=pattern):
        load_model(copy)


@pytest.mark.parametrize("name", HASHED[1:])
def test_a_directory_is_refused(copy: Path, name: str) -> None:
    """A folder of a file's name is told as one."""
    (copy / name).unlink()
    (copy / name).mkdir()
    with pytest.raises(BundleError, match=f"{name} must be a regular file, it is a directory"):
        open_bundle(copy)


@pytest.mark.parametrize("name", HASHED)
def test_a_file_that_is_too_large_is_not_read(copy: Path, name: str) -> None:
    """The size is asked for first; a sparse file has it without having bytes."""
    limit = LIMITS.get(name, LIMITS["inference.json"])
    with (copy / name).open("wb") as file:
        file.truncate(limit + 1)
    with pytest.raises(BundleError, match=f"{name} must have at most [0-9,]+ bytes, it has"):
        open_bundle(copy)


@links
def test_links_in_a_circle_and_names_too_long_are_refused(copy: Path) -> None:
    """Neither raises anything but a BundleError."""
    (copy / "inference.json").unlink()
    (copy / "inference.json").symlink_to("inference.json")
    with pytest.raises(BundleError, match="inference.json is missing or unreadable"):
        open_bundle(copy)
    with pytest.raises(BundleError, match="no shipped model is called"):
        find_bundle("x" * 5000)
    with pytest.raises(BundleError, match=r"no manifest.json in"):
        find_bundle(Path("x" * 5000))
    with pytest.raises(BundleError, match="no shipped model is called"):
        find_bundle("a\0b")


@links
def test_a_mount_of_links_is_a_bundle(copy: Path, tmp_path: Path) -> None:
    """Kubernetes mounts link through ..data; a hub's cache links hashed files to blobs outside."""
    mount = tmp_path / "mount"
    (mount / "..2026").mkdir(parents=True)
    (mount / "..data").symlink_to("..2026")
    (copy / "card.md").write_text("# Card")
    for file in copy.iterdir():
        shutil.copy(file, mount / "..2026")
        (mount / file.name).symlink_to(f"..data/{file.name}")
    assert open_bundle(mount).attachment("card.md") == b"# Card"
    assert open_bundle(mount).attachment("card.html") is None
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    for name in HASHED:
        (copy / name).rename(blobs / name)
        (copy / name).symlink_to(blobs / name)
    assert open_bundle(copy).manifest == open_bundle(mount).manifest


@links
@pytest.mark.parametrize("name", ["card.html", "review.toml", "external/x.json"])
def test_an_attachment_may_not_lead_out_of_the_bundle(
    copy: Path, tmp_path: Path, name: str
) -> None:
    """A link to another file of the machine is refused, by itself or through a folder."""
    (tmp_path / "secret").write_text("secret")
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).symlink_to(tmp_path / "secret")
    bundle = open_bundle(copy)
    with pytest.raises(BundleError, match=f"{name} must not lead out of the bundle's directory"):
        bundle.attachment(name)
    (copy / name).unlink()
    (copy / "out").symlink_to(tmp_path)
    (copy / name).symlink_to(copy / "out" / "secret")
    with pytest.raises(BundleError, match=f"{name} must not lead out"):
        bundle.attachment(name)
    with pytest.raises(BundleError, match="must not lead out"):
        bundle.attachment("../secret")
    (copy / "elsewhere").symlink_to(tmp_path)
    with pytest.raises(BundleError, match="elsewhere must not lead out"):
        bundle.attachments("elsewhere", "")


def test_what_was_read_is_kept(copy: Path) -> None:
    """A file that changes after the bundle was opened changes nothing under the same digest."""
    model = load_model(copy)
    before = model.bundle.read("inference.json")
    content = json.loads((copy / "inference.json").read_text())
    content["coefficients"][0]["coef"] = 9.0
    (copy / "inference.json").write_text(json.dumps(content))
    assert model.bundle.read("inference.json") == before
    assert max(abs(model.equation.coef)) < 9.0


def test_a_review_that_is_too_large_is_refused(copy: Path) -> None:
    """And so is one whose day does not exist, which is no TOML."""
    (copy / "review.toml").write_text("#" * 100_000)
    with pytest.raises(BundleError, match="review.toml must have at most 65,536 bytes"):
        review_of(open_bundle(copy))
    (copy / "review.toml").write_text("date = 2026-02-31")
    with pytest.raises(BundleError, match="must be TOML"):
        review_of(open_bundle(copy))
    (copy / "review.toml").write_text("x = " + "[" * 30_000)
    with pytest.raises(BundleError, match="must be TOML"):
        review_of(open_bundle(copy))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', "'a' twice in one table"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": -Infinity}', "-Infinity is no number"),
        ('{"a": 1e999}', "is too large"),
        ('{"a": ' + "9" * 5000 + "}", "is too large"),
        ("[" * 33 + "]" * 33, "nests more than 32 deep"),
        ("[" * 200_000 + "]" * 200_000, "nests more than 32 deep"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nests more than 32 deep"),
        (r'{"a": "\ud800"}', "surrogates not allowed"),
        ("{", "Expecting property name"),
        ("", "Expecting value"),
    ],
)  # fmt: skip
def test_json_that_can_be_read_in_two_ways_is_refused(text: str, reason: str) -> None:
    """Or that no reader could."""
    with pytest.raises(BundleError, match=rf"here: a.json is not JSON: .*{reason}.*; restore"):
        parse_json(text.encode(), "here: a.json")


def test_json_must_be_utf8() -> None:
    """Bytes of another encoding are refused, not guessed."""
    with pytest.raises(BundleError, match="is not JSON: 'utf-8' codec"):
        parse_json('{"a": "é"}'.encode("latin-1"), "a.json")
    assert parse_json(rb'{"a": "\ud83d\ude00"}', "a.json") == {"a": "😀"}
