"""A full disk costs metrics, never predictions."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from serving import metric_files
from serving.metric_files import SIZE, ReservedFile
from tests.serving.live_server import serving

KEYS = [mmap_key("m", "m_total", ("n",), (f"\u00e9{i}",), "help") for i in range(SIZE // 50)]
"""More series than a file of the first size holds."""


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file find the disk full."""

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(metric_files, "complained", set())


def read(path: Path) -> dict[str, float]:
    """Return what prometheus_client reads in a file."""
    return {key: value for key, value, *_ in MmapedDict.read_all_values_from_file(str(path))}


def test_a_file_has_its_pages_and_grows(tmp_path: Path) -> None:
    """No page is left to be taken later; what was written is read, before and after growing."""
    path = tmp_path / "counter_1.db"
    file = ReservedFile(str(path))
    assert path.stat().st_blocks * 512 >= SIZE
    for i, key in enumerate(KEYS):
        file.write_value(key, float(i), 0.0)
    assert path.stat().st_size > SIZE
    assert path.stat().st_blocks * 512 >= path.stat().st_size
    expected = {key: float(i) for i, key in enumerate(KEYS)}
    assert read(path) == expected
    file.close()
    again = ReservedFile(str(path))
    assert {key: value for key, value, _ in again.read_all_values()} == expected
    again.close()
    reader = ReservedFile(str(path), read_mode=True)
    assert {key: value for key, value, _ in reader.read_all_values()} == expected
    reader.close()


@pytest.mark.usefixtures("no_room")
def test_without_room_memory_counts_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is left on the disk for a reader to stumble over, and one line tells of it."""
    with caplog.at_level(logging.ERROR):
        files = [ReservedFile(str(tmp_path / name)) for name in ("counter_1.db", "gauge_1.db")]
    assert list(tmp_path.iterdir()) == []
    for file in files:
        for i, key in enumerate(KEYS):
            file.write_value(key, float(i), 0.0)
        assert [file.read_value(key)[0] for key in KEYS] == list(map(float, range(len(KEYS))))
        file.close()
    (line,) = caplog.messages
    assert f"{os.strerror(errno.ENOSPC)}), predictions go on; make room in {tmp_path}" in line


def test_a_disk_that_fills_up_later_stops_the_file_not_the_count(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """What the file held it keeps."""
    path = tmp_path / "counter_1.db"
    file = ReservedFile(str(path))
    file.write_value(KEYS[0], 5.0, 0.0)
    request.getfixturevalue("no_room")
    for i, key in enumerate(KEYS[1:], 1):
        file.write_value(key, float(i), 0.0)
    assert [file.read_value(key)[0] for key in KEYS[1:]] == list(map(float, range(1, len(KEYS))))
    assert read(path)[KEYS[0]] == 5.0
    file.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a disk of 4 MB, if it may be made here."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can be mounted by root alone, and not everywhere")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.mark.parametrize("full_at_start", [False, True])
def test_a_full_disk_takes_no_prediction_down(
    tmp_path: Path,
    small_disk: Path,
    cox_bundle: Path,
    patient: dict[str, str],
    full_at_start: bool,
) -> None:
    """A file that is written through memory would have its process killed, time and again."""
    fill = small_disk / "fill"
    if full_at_start:
        _fill(fill)
    variables = {"BENTOML_HOME": str(small_disk)}
    with serving(str(cox_bundle), tmp_path, variables=variables) as server:
        if not full_at_start:
            _fill(fill)
        for _ in range(3):
            good = httpx.post(f"{server.url}/v1/predict", json={"patients": [patient]})
            bad = httpx.post(f"{server.url}/v1/predict", json={"patients": [{}]})
            assert (good.status_code, bad.status_code) == (200, 422)
        metrics = httpx.get(f"{server.url}/metrics")
        assert metrics.status_code == 200
        counted = 'riskscore_predictions_total{model="deb-tace-hcc/os/cox"} 3.0' in metrics.text
        assert counted is not full_at_start
        assert ("predictions go on; make room" in server.printed()) or not full_at_start


def _fill(path: Path) -> None:
    """Write until nothing more goes in."""
    with path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    continue
