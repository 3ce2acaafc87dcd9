"""A Dask cluster does the resamples as this machine does: the same numbers, and plain refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster

from tests.conftest import simulate
from tests.training.test_validation import cohort_of
from training.__main__ import main
from training.fit import Settings
from training.validation.cluster import on_cluster
from training.validation.validating import validate


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Start a scheduler and two workers, each a process of its own."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as started:
        yield started


@pytest.mark.parametrize(
    ("kind", "method"), [("cox", "bootstrap"), ("forest", "632plus"), ("cox", "cv")]
)
def test_a_cluster_of_two_workers_gives_the_same_figures(
    kind: str, method: str, cluster: LocalCluster
) -> None:
    """To the last bit, for draws come from the seed and the replicate's number alone."""
    cohort = cohort_of(simulate(90, 3))
    settings = Settings(trees=20, min_leaf=5, n_jobs=1)
    here = validate(cohort, kind, settings, method, replicates=6, folds=3, repeats=2)
    with on_cluster(cluster.scheduler_address):
        there = validate(cohort, kind, settings, method, replicates=6, folds=3, repeats=2)
    assert json.dumps(there, sort_keys=True) == json.dumps(here, sort_keys=True)


def test_the_workers_do_the_work(
    cluster: LocalCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command's replicates but the first, which is timed here, were tasks of the cluster."""
    table, out = tmp_path / "patients.csv", tmp_path / "found.json"
    simulate(90, 3).to_csv(table, index=False)
    before = _tasks(cluster)
    what = f"--study deb-tace-hcc --cohort {table} --outcome os --predictors age,treatment"
    how = f"--model cox --replicates 7 --dask {cluster.scheduler_address} --out {out}"
    status = main(["validate", *what.split(), *how.split()])
    assert status == 0, capsys.readouterr().err
    assert _tasks(cluster) > before
    assert json.loads(out.read_bytes())["replicates"]["done"] == 7


def _tasks(cluster: LocalCluster) -> int:
    """Return how many tasks the scheduler has had from its workers."""
    prefixes = cluster.scheduler.task_prefixes
    return sum(prefix.state_counts["memory"] for prefix in prefixes.values())


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere at all", "http://127.0.0.1"])
def test_a_scheduler_that_does_not_answer_is_refused(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the option, the rule, the address and what to start."""
    monkeypatch.setattr("training.validation.cluster.ANSWER_WITHIN", 1)
    with (
        pytest.raises(Exception, match=r"dask must be the address of a scheduler") as refused,
        on_cluster(address),
    ):
        pass
    assert address in str(refused.value)
    assert "dask scheduler" in str(refused.value)


def test_a_cluster_without_workers_is_refused() -> None:
    """It would wait for ever."""
    with (
        LocalCluster(n_workers=0, dashboard_address=":0", processes=False) as empty,
        pytest.raises(Exception, match="it has none"),
        on_cluster(empty.scheduler_address),
    ):
        pass
