"""No card has a blank: each is tried, in the bundle and in the card."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from model_cards import Card, CardError, blanks, card_of, render_markdown
from model_cards.card import LevelCount
from riskscore import BundleError, RiskscoreError
from tests.model_cards.conftest import damaged, from_a_file, read

Path_ = tuple[str | int, ...]

FILES = ("manifest", "inference", "evaluation")

NOT_SHOWN = (
    # Curves, covariance and what a card does not print.
    "inference.covariance", "inference.se_model_based", "inference.log_likelihood",
    "inference.tuning", "inference.penalty", "inference.association", "inference.tests.score",
    "inference.tests.wald", "evaluation.integrated_brier", "evaluation.validation",
    "inference.proportional_hazards.transform",
    "inference.proportional_hazards.method", "inference.proportional_hazards.residuals",
    "inference.proportional_hazards.smooth", "inference.baseline.hazard_",
    "inference.baseline.log_hazard_",
    *(
        f"inference.coefficients[0].{key}"
        for key in ("hazard_ratio", "lower", "upper", "p", "predictor", "level", "form", "knots",
                    "part")
    ),
    *(f"inference.contrasts[0].{key}" for key in ("label", "unit", "log_hazard_ratio", "se")),
    "manifest.training.settings.ties", "manifest.envelope.patients",
    "manifest.training.settings.penalty",
    "manifest.study.study.source",
    "manifest.study.study.cluster",
)  # fmt: skip
HASHES = ("manifest", ("files",))
"""Checked by the bundle, before a card has anything to say."""


def places(content: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Yield the path of every key, into the first item of each list of tables."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield (*path, key)
            yield from places(value, (*path, key))
    elif isinstance(content, list) and content and isinstance(content[0], dict):
        yield from places(content[0], (*path, 0))


def dotted(name: str, path: Path_) -> str:
    """Return a path as a card's errors write it."""
    return name + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)


def is_required(place: str) -> bool:
    """Whether a card cannot be made without it."""
    if place.startswith("manifest.study.predictors"):
        # The graph says what the model was made with; "linear" is what a form is without its key.
        return not place.endswith(".form") or place.endswith("marker.form")
    if place.startswith("manifest.training.versions."):
        return place.endswith((".python", ".riskscore"))
    # Bundles of before have neither.
    if place in ("manifest.training.in_levels", "evaluation.concordance.pairs"):
        return False
    return not place.startswith(NOT_SHOWN)


def remove(content: dict[str, Any], path: Path_, value: Any = None, *, drop: bool = True) -> None:
    """Drop the value at a path, or put another there."""
    inner: Any = content
    for key in path[:-1]:
        inner = inner[key]
    if drop:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value


@pytest.mark.parametrize("kind", ["cox", "forest", "awkward_bundle"])
def test_every_missing_key_is_named(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Each key of manifest, inference and evaluation is deleted in turn; the error names it."""
    bundle: Path = request.getfixturevalue(kind)
    tried = 0
    for name in FILES:
        for path in places(read(bundle, name)):
            place = dotted(name, path)
            copy = damaged(bundle, tmp_path, **{name: lambda c, p=path: remove(c, p)})
            if not is_required(place):
                assert blanks(card_of(copy)) == []
                continue
            tried += 1
            with pytest.raises(RiskscoreError) as caught:
                pytest.fail(f"{place} is not missed: {card_of(copy).identity.id}")
            # A study without its only outcome is told that it lacks outcomes.
            named = {"os": "outcomes", "form": "log(marker)"}.get(str(path[-1]), str(path[-1]))
            # The rest of the manifest, or the graph, contradicts a study without it.
            contradicts = path[:2] == ("study", "predictors") and any(
                word in str(caught.value) for word in ("combinations", "its predictors")
            )
            assert contradicts or named in str(caught.value).replace("\\n", "\n"), place
    assert tried > 60


@pytest.mark.parametrize("kind", ["forest", "awkward_bundle"])
@pytest.mark.parametrize("value", [None, " ", [], {"": None}, -1, "text", True])
def test_an_unusable_value_is_an_error_or_leaves_a_whole_card(
    kind: str, value: object, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Whatever stands in a key, the answer is a card without blanks or an error made on purpose."""
    bundle: Path = request.getfixturevalue(kind)
    for name in FILES:
        for path in places(read(bundle, name)):
            if (name, path) == HASHES:
                continue
            edit = {name: lambda c, p=path: remove(c, p, value, drop=False)}
            copy = damaged(bundle, tmp_path, **edit)
            try:
                text = render_markdown(card_of(copy))
            except RiskscoreError:
                continue
            assert not re.search(r"\bnan\b|\bNone\b|\(\)|\|  \|  \|  \|", text), dotted(name, path)


@pytest.mark.parametrize(
    "place",
    [
        "training.cohort.source", "training.cohort.licence",
        "training.cohort.file", "training.cohort.sha256", "statement", "created",
        "intervals.method", "risk_groups.rule", "training.versions.numpy",
    ],
)  # fmt: skip
def test_an_empty_text_is_named_with_its_remedy(cox: Path, tmp_path: Path, place: str) -> None:
    """An empty text is a blank like a missing one."""
    path = tuple(place.split("."))
    copy = damaged(cox, tmp_path, manifest=lambda c: remove(c, path, "", drop=False))
    with pytest.raises(CardError, match=re.escape(f"manifest.{place} must")) as caught:
        card_of(copy)
    (problem,) = caught.value.problems
    assert problem.field == f"manifest.{place}"
    assert problem.remedy


def test_all_blanks_are_listed_at_once(cox: Path, tmp_path: Path) -> None:
    """One pass names the blanks of all three files."""

    def manifest(c: dict[str, Any]) -> None:
        del c["training"]["cohort"]["licence"]
        del c["training"]["events"]

    def inference(c: dict[str, Any]) -> None:
        del c["contrasts"][2]["p"]

    def evaluation(c: dict[str, Any]) -> None:
        c["concordance"] = {}

    copy = damaged(cox, tmp_path, manifest=manifest, inference=inference, evaluation=evaluation)
    with pytest.raises(CardError, match=r"no card, \d blanks") as caught:
        card_of(copy)
    named = [problem.field for problem in caught.value.problems]
    for place in (
        "manifest.training.cohort.licence",
        "manifest.training.events",
        "inference.contrasts[2].p",
        "evaluation.concordance",
        "evaluation.concordance.out_of_bag",
    ):
        assert place in named
        assert place in str(caught.value)
    assert len(named) == len(set(named))


def test_more_than_twenty_blanks_are_all_spelled_out(cox: Path, tmp_path: Path) -> None:
    """A card's list is never cut."""

    def without(c: dict[str, Any]) -> None:
        needed = {"predictors": c["training"]["predictors"], "cohort": {"kind": "patients"}}
        c.update(training=needed, statement="")

    copy = damaged(cox, tmp_path, manifest=without, evaluation=lambda c: c.clear())
    with pytest.raises(CardError) as caught:
        card_of(copy)
    assert len(caught.value.problems) > 20
    assert str(caught.value).count("\n- ") == len(caught.value.problems)


def test_a_cohort_that_was_no_file_has_no_card(cox: Path, tmp_path: Path) -> None:
    """A bundle fitted on a table in memory cannot say what it was fitted on."""
    place = ("training", "cohort", "sha256")
    cox_bundle = damaged(cox, tmp_path, manifest=lambda c: remove(c, place, "", drop=False))
    with pytest.raises(CardError, match="cohort.sha256 must not be empty; fit the model on a coh"):
        card_of(cox_bundle)


@pytest.mark.parametrize(
    ("name", "path", "value", "message"),
    [
        ("manifest", ("kind",), "net", "kind must be one of cox, forest, pipeline"),
        ("inference", ("kind",), "forest", "inference.kind must be the manifest's, got 'forest'"),
        ("manifest", ("training", "cohort", "kind"), "real", "kind must be one of patients, rec"),
        ("manifest", ("training", "flow", "read"), 91, "flow must add up"),
        ("manifest", ("training", "predictors", "treatment", "deb_tace"), 1, "must add up to the"),
        ("manifest", ("risk_groups", "training_counts"), [1], "must have one label and one count"),
        ("inference", ("coefficients", 0, "term"), "age", r"term must be tumor_number\[>3\]"),
        ("inference", ("contrasts", 0, "lower"), 0.0, "lower must be above 0, got 0.0"),
        ("inference", ("coefficients",), [], "coefficients must be those of the predictors"),
        ("inference", ("baseline", "times"), [1.0], "must have one number, 0 or more, a time"),
        ("evaluation", ("concordance", "in_sample"), "0.6", "in_sample must be a finite number"),
        ("evaluation", ("concordance", "out_of_bag_rows"), 1.5, "must be a whole number"),
        ("manifest", ("intervals", "available"), "yes", "available must be true or false"),
        ("manifest", ("training", "flow", "excluded"), "none", "excluded must be a list"),
        ("manifest", ("training", "cohort", "limits"), [""], "limits must hold texts"),
        ("manifest", ("risk_groups", "training_counts"), ["a"], "must hold finite numbers only"),
        ("manifest", ("training", "versions"), {"numpy": []}, "must be a plain value"),
        ("evaluation", ("concordance", "out_of_bag_how"), 3, "out_of_bag_how must be a text"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(
    cox: Path, tmp_path: Path, name: str, path: Path_, value: object, message: str
) -> None:
    """A value that contradicts the others is no fact to print."""
    copy = damaged(cox, tmp_path, **{name: lambda c: remove(c, path, value, drop=False)})
    with pytest.raises((BundleError, CardError), match=message):
        card_of(copy)


def test_importance_must_be_of_the_model_s_predictors(forest: Path, tmp_path: Path) -> None:
    """An unknown predictor is refused, and the one it stands for is missed."""
    copy = damaged(
        forest, tmp_path, inference=lambda c: c["importance"][0].update(predictor="shoe size")
    )
    with pytest.raises(CardError, match="it lacks tumor_number") as caught:
        card_of(copy)
    assert "must be one of the model's, got 'shoe size'" in str(caught.value)


def test_a_changed_file_is_caught_before_the_card_is(cox: Path, tmp_path: Path) -> None:
    """Tampering with a hashed file is the bundle's error."""
    copy = damaged(cox, tmp_path, manifest=from_a_file)
    (copy / "evaluation.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BundleError, match="does not match its hash"):
        card_of(copy)


def test_a_bound_that_ought_to_be_there_is_a_blank(cox_card: Card) -> None:
    """A number that is not finite is never a value, even where None would be one."""
    profile = cox_card.profiles[0]
    answer = profile.answers[0]
    estimates = (replace(answer.estimates[0], lower=math.nan), *answer.estimates[1:])
    card = replace(
        cox_card,
        profiles=(replace(profile, answers=(replace(answer, estimates=estimates),)),),
    )
    with pytest.raises(
        CardError, match=r"profiles\[0\].answers\[0\].estimates\[0\].lower is not a"
    ):
        render_markdown(card)


def emptied(part: Any, path: str = "card") -> Iterator[tuple[str, Any]]:
    """Yield the card once for each of its texts and lists, with that one emptied."""
    if isinstance(part, str):
        yield path, ""
    elif isinstance(part, float):
        yield path, math.nan
    elif isinstance(part, tuple):
        yield path, ()
        for i, item in enumerate(part):
            for where, changed in emptied(item, f"{path}[{i}]"):
                yield where, (*part[:i], changed, *part[i + 1 :])
    elif is_dataclass(part) and not isinstance(part, type):
        for f in fields(part):
            for where, changed in emptied(getattr(part, f.name), f"{path}.{f.name}"):
                yield where, replace(part, **{f.name: changed})


MEANT = (
    "statement", "source", "beyond", "limits", "excluded", "changed", "help", "levels", "unit",
    "range", "form", "notes", "traits", "treatment", "knots", "curved", "warnings", "proportional",
    "external", "plots", "worked", "no_errors", "subgroups", "penalised", "void",
)  # fmt: skip
"""Fields of the card that say something by being empty."""


@pytest.mark.parametrize("name", ["cox_card", "forest_card", "awkward_card"])
def test_every_field_of_a_card_is_checked(name: str, request: pytest.FixtureRequest) -> None:
    """Each text, number and list of a card is emptied in turn, and found."""
    card: Card = request.getfixturevalue(name)
    assert blanks(card) == []
    tried = 0
    for where, changed in emptied(card):
        if where.rpartition(".")[2] in MEANT and "card.data.source" not in where:
            continue
        tried += 1
        assert [problem.field for problem in blanks(changed)] == [where]
    assert tried > 150


def test_none_is_a_blank_unless_it_means_something() -> None:
    """A field that is not marked may not be None."""
    level: Any = None
    (problem,) = blanks(LevelCount(level, "yes", 3, 0.5, True, 3, 2))
    assert str(problem).startswith("card.level is empty; write the bundle again")
