"""What becomes of bundles that were corrupted at random.

`python -m tests.benchmarks.bundle_corruption [CASES]`: each case in a process of its own, which is
forked, so that its time and the memory it adds are its own. A case that ends in anything but a
refusal by name or valid curves under another digest is told with its number.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from riskscore import RiskModel, load_model
from tests.corruption import corrupt, judge, make_bundles, patients

__all__ = ["main", "measure"]

CASES = 5000
LONGEST = 60
"""Seconds of the clock after which a case counts as hung."""


@dataclass(frozen=True)
class Result:
    """What became of a case: outcome, seconds of processor time, and memory added in MB."""

    sealed: bool
    damage: str
    outcome: str
    seconds: float
    memory: float


def measure(cases: int = CASES) -> Iterator[str]:
    """Yield the outcomes by damage, the most time and memory, and every case that failed."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "whole").mkdir()
        bundles = list(make_bundles(place / "whole").values())
        models = [load_model(path) for path in bundles]
        asked = [patients(model) for model in models]
        results = []
        for case in range(cases):
            k = case // 10 % len(bundles)
            shutil.copytree(bundles[k], place / "copy")
            damage = corrupt(place / "copy", bundles[k - 1], case)
            result = _in_a_process(place / "copy", models[k], asked[k], case, damage)
            results.append(result)
            if result.outcome.startswith("FAILED"):
                yield f"case {case}, {bundles[k].name}, {damage}: {result.outcome}"
            shutil.rmtree(place / "copy")
    kinds = sorted({r.damage for r in results})
    for sealed in (False, True):
        for kind in kinds:
            these = [r for r in results if r.sealed == sealed and r.damage == kind]
            counts = Counter(r.outcome.partition(":")[0] for r in these)
            told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
            how = "hashes made right again" if sealed else "hashes as they were"
            most = f"{max(r.seconds for r in these):.2f} s, {max(r.memory for r in these):.0f} MB"
            yield f"{kind}, {how}: {len(these)}: {told}; at most {most}"


def _in_a_process(
    bundle: Path, original: RiskModel, X: NDArray[np.float64], case: int, damage: str
) -> Result:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        before = _resident()
        try:
            started = time.process_time()
            outcome, _ = judge(bundle, original, X)
        except BaseException as error:  # whatever it is, it is what the case is about
            outcome = f"FAILED: {type(error).__name__}: {str(error)[:200]}"
        seconds = time.process_time() - started
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        os.write(writer, f"{seconds}\n{most - before}\n{outcome}".encode())
        os._exit(0)
    os.close(writer)
    until = time.monotonic() + LONGEST
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            break
        time.sleep(0.002)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        lines = pipe.read().split("\n", 2)
    if len(lines) < 3:
        lines = ["0", "0", "FAILED: the process hung or died"]
    kind = damage.partition(":")[0]
    return Result(bool(case % 2), kind, lines[2], float(lines[0]), float(lines[1]))


def _resident() -> float:
    """Return the resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="?", type=int, default=CASES, metavar="CASES")
    for line in measure(parser.parse_args().cases):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
