"""Resamples on a Dask cluster: the same draws, the same answers, other machines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from joblib import Parallel, parallel_config

from riskscore.errors import InputError, ModelError, Problem

__all__ = ["clustered", "on_cluster", "workers"]

ANSWER_WITHIN = 10
"""Seconds in which a scheduler must answer."""

_clustered: ContextVar[bool] = ContextVar("clustered", default=False)


@contextmanager
def on_cluster(address: str | None) -> Iterator[None]:
    """Send the resamples of the block to the cluster whose scheduler listens at `address`.

    Nothing else of the block goes there. The cluster's workers need this project in their
    environment, in the same versions. With None the block runs on this machine.

    Raises
    ------
    ModelError
        If the package `distributed` is not installed.
    InputError
        If the address is none, nothing answers there, or the cluster has no worker.
    """
    if address is None:
        yield
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ModelError("--dask needs the package distributed: pip install distributed") from error
    try:
        client = Client(address, timeout=ANSWER_WITHIN)
    except (OSError, ValueError, TypeError) as error:
        raise _refused(
            f"must be the address of a scheduler that answers within {ANSWER_WITHIN} s", address
        ) from error
    with client:
        if not client.scheduler_info()["workers"]:
            raise _refused("must be the scheduler of a cluster with workers; it has none", address)
        token = _clustered.set(True)
        try:
            yield
        finally:
            _clustered.reset(token)


def clustered() -> bool:
    """Return whether resamples go to a cluster."""
    return _clustered.get()


def workers(n_jobs: int) -> Parallel:
    """Return what does the resamples, in their order: the cluster, or processes of this machine."""
    if not clustered():
        return Parallel(n_jobs=n_jobs, return_as="generator")
    with parallel_config(backend="dask"):
        return Parallel(return_as="generator")


def _refused(rule: str, address: str) -> InputError:
    remedy = "start one with `dask scheduler` and `dask worker`, and give tcp://HOST:8786"
    return InputError([Problem(None, "dask", rule, address, remedy)])
