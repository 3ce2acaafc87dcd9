"""Which models are served, from the environment and from what is on the disk now.

`Catalogue.load` reads the bundles at the start. `Catalogue.look`, called again and again, returns
new `Models` when a review, a bundle or the file of withdrawn models has changed. What a request
began with answers it to its end: `Models` never change, they are replaced.

A bundle that is replaced is taken when all of it is there and it may be served; until then the old
one, which is in memory, answers. A pin lets no other bundle in.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from riskscore import BundleError, RiskModel, load_model
from riskscore.bundle import MANIFEST, find_bundle, shipped_bundles
from riskscore.review import APPROVED, REJECTED, RETIRED, Review, review_of
from serving.models import APPROVED_VARIABLE, DEFAULT_MODEL, MODELS_VARIABLE, PIN, Models
from serving.problems import Refusal
from serving.settings import SettingError, switch
from serving.withdraw import WITHDRAWN_VARIABLE, Withdrawal, WithdrawalError, withdrawals

__all__ = ["Catalogue", "load_models"]

RECALLED = (RETIRED, REJECTED)
"""Reviews whose model answers no more."""

logger = logging.getLogger("bentoml.riskscore")

Stamp = tuple[int, ...]
Files = Mapping[str, Stamp]


def load_models(environment: Mapping[str, str] = os.environ) -> Models:
    """Return the models that the environment asks for, as `Catalogue.load` does."""
    return Catalogue(environment).load()


@dataclass(eq=False, slots=True)
class _Held:
    """A model, as it was last looked at.

    Attributes
    ----------
    name, pin : str
        What was asked for: a directory or an id, and the digest it must have ("" for any).
    review : Review or None
        None while it cannot be read.
    files : mapping of str to tuple
        Of its files, what changes when they do, from before they were read.
    is_behind : bool
        Whether the bundle that is there now was not taken.
    doubts : int
        How often in a row its review could not be read: once may be a file half written.
    """

    name: str | Path
    pin: str
    model: RiskModel
    review: Review | None
    files: Files
    is_behind: bool = False
    doubts: int = 0


class Catalogue:
    """The models of a service.

    Parameters
    ----------
    environment : mapping of str to str
        With `RISKSCORE_MODELS`, `RISKSCORE_REQUIRE_APPROVED`, `RISKSCORE_WITHDRAWN_FILE`.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self.environment = environment
        self.needs_approval = switch(APPROVED_VARIABLE, environment)
        self._held: list[_Held] = []
        self._withdrawn: tuple[Withdrawal, ...] = ()
        self._unreadable = ""
        self._stopped: frozenset[str] = frozenset()
        self._list_stamp: Stamp = ()
        self._doubts = 0
        self._said = ""

    def load(self) -> Models:
        """Load the bundles that `RISKSCORE_MODELS` names; where it names none, all those shipped.

        With `RISKSCORE_REQUIRE_APPROVED` a bundle that is named must have an approving review, and
        one that is shipped and not named is left out without. One that was retired or rejected is
        loaded, and answers that it was.

        Raises
        ------
        BundleError
            If one is missing, damaged, not what its pin says or not approved, naming it; if none is
            left to serve.
        SettingError
            If `RISKSCORE_REQUIRE_APPROVED` is neither 0 nor 1, or `RISKSCORE_MODELS` is set and
            names nothing.
        WithdrawalError
            If the file of withdrawn models cannot be read.
        """
        text = self.environment.get(MODELS_VARIABLE, "")
        if text.strip():
            # A pin has a colon, which is also what separates the directories.
            entries = [e.strip() for e in text.replace(PIN, "\0").split(os.pathsep) if e.strip()]
            if not entries:
                rule = "directories of bundles or ids of shipped models"
                raise SettingError.of(MODELS_VARIABLE, rule, text, "name one")
            held = [_hold(*_parted(entry.replace("\0", PIN))) for entry in entries]
            if self.needs_approval:
                _check_approved(held)
        else:
            held = [_hold(path, "") for path in shipped_bundles().values()]
            if self.needs_approval:
                held = [one for one in held if one.model.review.is_approved]
                if not held:
                    raise BundleError(
                        f"{APPROVED_VARIABLE} is 1, and no model that is shipped has an approving "
                        f"review; name approved bundles in {MODELS_VARIABLE}, or set "
                        f"{APPROVED_VARIABLE} to 0"
                    )
        self._list_stamp = self._stamp_of_list()
        self._withdrawn = withdrawals(self.environment)
        self._held = held
        return self._models()

    def look(self) -> Models | None:
        """Return new models if anything has changed since they were last made, else None."""
        # All are looked at, whichever has changed.
        changed = [self._look_at(held) for held in self._held]
        if self._look_at_list() or any(changed):
            return self._models()
        return None

    def _models(self) -> Models:
        models = [held.model for held in self._held]
        ids = [model.manifest.id for model in models]
        named = bool(self.environment.get(MODELS_VARIABLE, "").strip())
        default = ids[0] if ids and (named or DEFAULT_MODEL not in ids) else DEFAULT_MODEL
        reviews = {held.model.manifest.id: held.review or held.model.review for held in self._held}
        stopped = {
            held.model.manifest.id: refusal for held in self._held if (refusal := self._stop(held))
        }
        for name in stopped.keys() ^ self._stopped:
            why = stopped[name].problems[0].rule if name in stopped else "answers again"
            logger.warning("model %s %s", name, why)
        self._stopped = frozenset(stopped)
        return Models(models, default, reviews, stopped)

    def _stop(self, held: _Held) -> Refusal | None:
        """Return why a model answers no more, or None if it does."""
        model, review = held.model, held.review
        remedy = "choose a model of GET /v1/models that is not withdrawn"
        for withdrawal in self._withdrawn:
            if withdrawal.is_of(model.manifest.id, model.digest):
                rule = f"was withdrawn: {withdrawal.reason}"
                return Refusal.of("withdrawn", "model", rule, None, remedy)
        if self._unreadable or review is None:
            rule = "cannot be answered with: whether it was withdrawn cannot be read"
            told = "tell who runs the service; its log names the file"
            return Refusal.of("unavailable", "model", rule, None, told)
        if review.status in RECALLED or (self.needs_approval and review.status != APPROVED):
            rule = f"is withdrawn by its review: {review.label}"
            return Refusal.of("withdrawn", "model", rule, None, remedy)
        return None

    def _look_at(self, held: _Held) -> bool:
        """Take what has changed of a bundle and its review; return whether anything did."""
        files = _files_of(held.model.bundle.path)
        if files == held.files and not held.doubts:
            return False
        before = (held.model, held.review)
        if held.is_behind or _core(files, held) != _core(held.files, held):
            self._take(held)
        try:
            held.review, held.doubts = review_of(held.model.bundle), 0
        except BundleError as error:
            held.doubts += 1
            if held.doubts > 1:
                held.review = None
                self._tell(f"{error}; until then the model does not answer")
        held.files = files
        return (held.model, held.review) != before

    def _take(self, held: _Held) -> None:
        """Take the bundle that is there now, if it is another one, whole, and may be served."""
        held.is_behind = False
        try:
            model = load_model(held.name)
            if model.digest == held.model.digest:
                return
            if model.manifest.id != held.model.manifest.id:
                raise BundleError(
                    f"{model.bundle.path} is now model {model.manifest.id}, and was "
                    f"{held.model.manifest.id}; serve it under a path of its own"
                )
            _check_pin(held.name, held.pin, model)
            if self.needs_approval and not model.review.is_approved:
                raise BundleError(
                    f"{model.bundle.path}: the review of the new bundle is {model.review.status}, "
                    f"and {APPROVED_VARIABLE} is set; have it reviewed"
                )
        except BundleError as error:
            held.is_behind = True
            self._tell(f"{error}; until then the bundle that was there before answers")
            return
        logger.info("%s is served as %s from now on", model.manifest.id, model.digest)
        held.model = model

    def _look_at_list(self) -> bool:
        stamp = self._stamp_of_list()
        if stamp == self._list_stamp and not self._doubts:
            return False
        self._list_stamp = stamp
        before = (self._withdrawn, self._unreadable)
        try:
            self._withdrawn = withdrawals(self.environment)
            self._unreadable, self._doubts = "", 0
        except WithdrawalError as error:
            self._doubts += 1
            if self._doubts > 1:
                self._unreadable = str(error)
                self._tell(f"{error}; until then no model answers")
        return (self._withdrawn, self._unreadable) != before

    def _stamp_of_list(self) -> Stamp:
        path = self.environment.get(WITHDRAWN_VARIABLE, "").strip()
        return _stamp_of_file(path) if path else ()

    def _tell(self, text: str) -> None:
        """Log what is wrong, once until it is something else."""
        if text != self._said:
            self._said = text
            logger.error("%s", text)


def _parted(entry: str) -> tuple[str, str]:
    name, pin, digest = entry.partition(PIN)
    return name, f"sha256:{digest}" if pin else ""


def _hold(name: str | Path, pin: str) -> _Held:
    """Load a bundle, try it, and remember what its files looked like before."""
    # Before it is read, so that a change in between is seen as one.
    files = _files_of(find_bundle(name))
    model = load_model(name)
    _check_pin(name, pin, model)
    return _Held(name, pin, model, model.review, files)


def _check_pin(name: str | Path, pin: str, model: RiskModel) -> None:
    if pin and model.digest != pin:
        raise BundleError(
            f"{name} is pinned to {pin} in {MODELS_VARIABLE}, and its manifest.json has digest "
            f"{model.digest}; restore the bundle, or pin what has been reviewed since"
        )


def _check_approved(held: list[_Held]) -> None:
    for one in held:
        status = one.model.review.status
        if status not in (APPROVED, *RECALLED):
            raise BundleError(
                f"{one.model.bundle.path}: its review is {status}, and {APPROVED_VARIABLE} is set; "
                "have it reviewed, or leave it out"
            )


def _files_of(folder: Path) -> Files:
    """Return what changes when a file of the folder does, wherever links lead; by name."""
    try:
        names = os.listdir(folder)
    except OSError:
        return {}
    return {name: _stamp_of_file(folder / name) for name in names}


def _core(files: Files, held: _Held) -> list[Stamp | None]:
    """Return what changes when the bundle itself does, its attachments left out."""
    return [files.get(name) for name in (MANIFEST, *held.model.manifest.files)]


def _stamp_of_file(path: str | Path) -> Stamp:
    try:
        status = os.stat(path)
    except OSError as error:
        return (error.errno or 0,)
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev)
