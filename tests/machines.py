"""Run the numeric tests and the main job as other processors would compute them, and compare.

`python -m tests.machines` (`make machines`) starts itself under every `Machine`: a matrix product
takes the kernel of another processor (OpenBLAS's OPENBLAS_CORETYPE), on one or two threads; numpy
works without its newer instructions (NPY_DISABLE_CPU_FEATURES), whose exp and log have other last
bits; and the C library without its own. On each the tests marked `numeric` must pass, and the main
job must give the figures of the first: text, counts and whatever depends on ranks alone the same,
every other number to a relative 1e-9. What this processor cannot run is skipped, saying so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["MACHINES", "Machine", "differences", "main"]

RELATIVE = 1e-9
"""Largest relative difference of a figure between two machines."""

LEAST = 1e-3
"""A smaller figure is compared as if it were this large: it may be what rounding leaves of 0."""

REPLICATES = 20

OF_RANKS = {"concordance", "dxy", "auc"}
"""Figures of ranks and times alone: the least difference is another tie or another order."""

OF_THE_FILE = {"created", "digest", "files"}
"""What a manifest says of the bundle's bytes, in which last bits count."""

NEEDS = {
    "Prescott": {"pni"},
    "Haswell": {"avx2", "fma"},
    "Zen": {"avx2", "fma"},
    "SkylakeX": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
}
"""Flags in /proc/cpuinfo of a processor that can run OpenBLAS's kernels of that name."""

SHARED = {"Prescott": "Katmai", "Zen": "Haswell"}
"""What OpenBLAS says where its build gives two processors the same kernels."""

WITHOUT_FMA = "glibc.cpu.hwcaps=-FMA,-AVX2,-FMA4,-AVX512F"


@dataclass(frozen=True)
class Machine:
    """A processor that this one can be.

    Attributes
    ----------
    core : str
        Whose kernels OpenBLAS takes; its own choice where empty.
    threads : int
        Of a matrix product.
    numpy : str
        "all" instructions that the processor has; "no AVX-512"; or "oldest", those alone without
        which numpy does not start.
    libc : str
        Where not empty: the C library works without fused multiplication and addition.
    """

    core: str = ""
    threads: int = 1
    numpy: str = "all"
    libc: str = ""

    @property
    def name(self) -> str:
        """As it is printed."""
        libc = ", C library without FMA" if self.libc else ""
        return f"{self.core or 'as it is'}, {self.threads} threads, numpy {self.numpy}{libc}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment that makes this processor that one."""
        found = {"OPENBLAS_NUM_THREADS": str(self.threads), "OMP_NUM_THREADS": "1"}
        if self.core:
            found["OPENBLAS_CORETYPE"] = self.core
        if self.numpy != "all":
            enabled = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
            newer = [f for f in enabled if "AVX512" in f or f in ("X86_V4",)]
            found["NPY_DISABLE_CPU_FEATURES"] = " ".join(
                enabled if self.numpy == "oldest" else newer
            )
        if self.libc:
            found["GLIBC_TUNABLES"] = self.libc
        return found


MACHINES = (
    Machine(threads=2),
    *(Machine(core, threads) for core in NEEDS for threads in (1, 2)),
    Machine(numpy="no AVX-512"),
    Machine("Haswell", 2, "no AVX-512"),
    Machine("Prescott", 1, "oldest", WITHOUT_FMA),
)


def differences(first: Any, other: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield every place where two decoded JSON files differ, and by how much, relatively.

    Infinity where text, a count, a length or a figure of ranks is not the same.
    """
    if isinstance(first, dict) and isinstance(other, dict):
        for key in sorted({*first, *other} - OF_THE_FILE):
            yield from differences(first.get(key), other.get(key), f"{path}.{key}")
    elif isinstance(first, list) and isinstance(other, list) and len(first) == len(other):
        for k, (a, b) in enumerate(zip(first, other, strict=True)):
            yield from differences(a, b, f"{path}[{k}]")
    elif first != other:
        both = (first, other)
        if not all(isinstance(value, float) for value in both) or OF_RANKS & set(path.split(".")):
            yield path, np.inf
        else:
            yield path, abs(first - other) / max(LEAST, *map(abs, both))


def main() -> int:
    """Try every machine; return the exit status."""
    flags = _flags()
    failed = False
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        able, unable = [], []
        for machine in MACHINES:
            lacking = NEEDS.get(machine.core, set()) - flags
            (unable if lacking else able).append((machine, lacking))
        for machine, lacking in unable:
            print(f"SKIPPED {machine.name}: this processor has no {', '.join(sorted(lacking))}")
        jobs = [
            (machine, pool.submit(_try, machine, Path(folder) / str(k)))
            for k, (machine, _) in enumerate(able)
        ]
        first: dict[str, Any] = {}
        for machine, job in jobs:
            figures, took, output = job.result()
            if not figures:
                failed = True
                print(f"FAILED  {machine.name}\n{output}")
                continue
            first = first or figures
            differ = sorted(differences(first, figures), key=lambda d: -d[1])
            wrong = [f"    {path}: {by:.1e}" for path, by in differ if by > RELATIVE]
            failed |= bool(wrong)
            print(
                f"{'FAILED ' if wrong else 'passed '} {machine.name}: the largest relative "
                f"difference is {differ[0][1] if differ else 0.0:.1e}, {took:.0f} s"
            )
            print("\n".join(wrong[:20]), end="\n" if wrong else "", flush=True)
    return int(failed)


def _flags() -> set[str]:
    """Return what this processor can do."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return set()
    return set(next((s for s in text.splitlines() if s.startswith("flags")), "").split())


def _try(machine: Machine, folder: Path) -> tuple[dict[str, Any], float, str]:
    """Return the main job's figures on a machine, its seconds, and what was printed on failure."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS")}
    environment |= machine.variables
    started = time.monotonic()
    for command in (
        ["-m", "tests.machines", "kernels", machine.core],
        ["-m", "pytest", "-q", "-m", "numeric", "-p", "no:cacheprovider", "tests"],
        ["-m", "training", "run", "--out", str(folder), "--replicates", str(REPLICATES)],
    ):
        done = subprocess.run(
            [sys.executable, *command], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            return {}, 0.0, done.stdout[-5000:] + done.stderr[-5000:]
    figures = {
        str(file.relative_to(folder)): json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(folder.glob("*/*/*/*.json"))
    }
    shutil.rmtree(folder)
    return figures, time.monotonic() - started, ""


def kernels(core: str) -> int:
    """Check that every copy of OpenBLAS took the kernels asked for; return the exit status."""
    import scipy.linalg  # noqa: F401  its own copy of OpenBLAS
    from threadpoolctl import threadpool_info

    taken = {
        lib["filepath"]: lib["architecture"] for lib in threadpool_info() if "architecture" in lib
    }
    accepted = (core, SHARED.get(core))
    wrong = {file: name for file, name in taken.items() if core and name not in accepted}
    for file, name in wrong.items():
        print(f"{Path(file).name} took the kernels of {name}, not of {core}")
    if not taken:
        print("no OpenBLAS was found: nothing was tried")
    return int(bool(wrong) or not taken)


if __name__ == "__main__":
    sys.exit(kernels(sys.argv[2]) if sys.argv[1:2] == ["kernels"] else main())
