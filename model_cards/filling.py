"""Filling a card from a bundle alone: its manifest, inference and evaluation, and its own answers.

Nothing is predicted before every fact that a card needs has been found to be there.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from model_cards._facts import FIT_AGAIN, Facts
from model_cards.card import (
    AtRisk,
    Card,
    ChiSquareTest,
    CoxModel,
    Data,
    Distribution,
    External,
    Identity,
    Intervals,
    LevelCount,
    Origin,
    Performance,
    PredictorFacts,
    Profile,
    Question,
    RiskGroup,
    RiskGroups,
    Step,
    Worked,
)
from model_cards.completeness import blanks
from model_cards.errors import CardError
from model_cards.fitted import KINDS
from model_cards.limitations import limitations
from model_cards.performance import external_of, judged_of, later_of, pairs_of, plots_of
from model_cards.plots.pictures import nomogram
from model_cards.profiles import profiles
from model_cards.source import audit_of, draws_of
from model_cards.statements import denied_tests, statements_of
from model_cards.worked import worked
from riskscore.attached import attached_to
from riskscore.bundle import open_bundle
from riskscore.errors import Problem
from riskscore.manifest import Manifest
from riskscore.model import load_model
from riskscore.review import review_of
from riskscore.study import Predictor

__all__ = ["card_of"]

ALWAYS_USED = ("python", "riskscore")
"""Whose versions every bundle records; which libraries did the fitting depends on the kind."""

DATA_KINDS = ("patients", "reconstructed", "not stated")

STATE_IT = "state it in the cohort's .source.toml and fit the model again"
FROM_A_FILE = "fit the model on a cohort read from a file, which has a name and a hash"


def card_of(model: str | Path, statements: str | Path | None = None) -> Card:
    """Return the card of a bundle.

    Parameters
    ----------
    model : str or Path
        Id of a shipped model, or the path of a bundle.
    statements : str or Path, optional
        File of what is stated by hand, where it is neither in the bundle nor this project's.

    Raises
    ------
    CardError
        Listing every field that is missing or empty, with its dotted path and a remedy.
    BundleError
        If the bundle is missing, damaged or of another format.
    """
    bundle = open_bundle(model)
    problems: list[Problem] = []
    m, where = bundle.manifest, str(model)
    manifest = Facts(m.to_dict(), "manifest", problems)
    training = manifest.table("training")
    inference = Facts(bundle.read("inference.json"), "inference", problems)
    evaluation = Facts(bundle.read("evaluation.json"), "evaluation", problems)
    data = _data(training)
    question = _question(manifest, m, training)
    counts = training.table("predictors")
    counted = "in_levels" in training and any(p.is_category for p in m.predictors)
    in_levels = training.table("in_levels") if counted else None
    predictors = tuple(_predictor(counts, in_levels, p, data.rows) for p in m.predictors)
    for name in counts.values.keys() - m.study.predictors.keys():
        counts.refuse(name, "must be a predictor of the study", None, FIT_AGAIN)
    identity = _identity(manifest, m, training, review_of(bundle).label)
    statement = manifest.text("statement", STATE_IT, may_be_empty=data.kind == "patients")
    if identity.kind not in KINDS:
        remedy = "render it with a version that knows this kind"
        manifest.refuse("kind", f"must be one of {', '.join(KINDS)}", m.kind, remedy)
        raise CardError(problems, where)
    if inference.text("kind") not in ("", m.kind):
        inference.refuse("kind", "must be the manifest's", inference.values["kind"], FIT_AGAIN)
    settings = training.table("settings")
    fitted = KINDS[m.kind](inference, settings, predictors, question.horizons)
    external = external_of(bundle, m.digest, problems)
    performance = _performance(evaluation, m.kind, settings.count("seed"), external)
    performance = replace(performance, void=attached_to(bundle).void)
    intervals = _intervals(manifest.table("intervals"))
    groups = _risk_groups(manifest.table("risk_groups"))
    grid = manifest.text("grid")
    draws = draws_of(bundle, predictors, question.horizons, problems)
    audit = audit_of(bundle, problems)
    stated = statements_of(bundle, statements, problems)
    if external:
        problems += denied_tests(stated)
    if problems:
        raise CardError(problems, where)
    if performance.judged is not None:
        plots = plots_of(evaluation.values["validation"], question.time_unit)
        performance = replace(performance, plots=plots)
    loaded = load_model(bundle.path)
    examples = profiles(loaded, predictors, question.horizons)
    card = Card(
        identity=identity,
        statement=statement,
        question=question,
        data=data,
        predictors=predictors,
        performance=performance,
        model=fitted,
        intervals=intervals,
        grid=grid,
        at_risk=tuple(map(AtRisk, question.horizons, m.at_risk_at_horizons)),
        risk_groups=groups,
        profiles=examples,
        worked=_worked(fitted, examples),
        nomogram=nomogram(loaded) if isinstance(fitted, CoxModel) else None,
        draws=draws,
        audit=audit,
        limitations=(),
        statements=stated,
    )
    card = limitations(card, m.outcome.competing)
    if found := blanks(card):
        raise CardError(found, where)
    return card


def _worked(model: object, examples: tuple[Profile, ...]) -> Worked | None:
    """Return the first example, under the last treatment, worked by hand."""
    if not isinstance(model, CoxModel):
        return None
    answer = examples[0].answers[-1]
    return worked(model, examples[0].name, dict(answer.inputs))


def _identity(manifest: Facts, m: Manifest, training: Facts, review: str) -> Identity:
    versions = training.table("versions")
    for name in ALWAYS_USED:
        versions.text(name)
    return Identity(
        id=manifest.text("id"),
        kind=manifest.text("kind"),
        digest=m.digest,
        created=manifest.text("created"),
        bundle_format=int(m.format),
        review=review,
        origin=_origin(training),
        files=manifest.pairs("files"),
        versions=versions.plain(),
    )


def _origin(training: Facts) -> Origin | None:
    """Return what the model was updated from."""
    if "parent" not in training:
        return None
    parent, update = training.table("parent"), training.table("update")
    return Origin(
        parent=parent.text("id"),
        digest=parent.text("digest"),
        changed=update.text("what"),
        chosen=update.text("chosen"),
        tests=tuple(
            ChiSquareTest(
                test.text("hypothesis"), test.number("chi_square"), test.count("df"),
                test.number("p"),
            )
            for test in update.tables("tests", may_be_empty=True)
        ),
        caution=update.text("caution") if "caution" in update else "",
    )  # fmt: skip


def _question(manifest: Facts, m: Manifest, training: Facts) -> Question:
    return Question(
        title=m.study.title,
        population=m.study.population,
        source=m.study.source,
        outcome=m.outcome.label,
        event=m.outcome.event.replace("_", " "),
        time_unit=m.study.time_unit,
        time_origin=m.study.time_origin,
        horizons=m.outcome.horizons,
        beyond=training.numbers("horizons_left_out"),
        follow_up_limit=manifest.number("follow_up_limit"),
    )


def _data(training: Facts) -> Data:
    cohort, flow = training.table("cohort"), training.table("flow")
    follow_up = training.table("follow_up")
    kind = cohort.text("kind", STATE_IT)
    if kind and kind not in DATA_KINDS:
        cohort.refuse("kind", f"must be one of {', '.join(DATA_KINDS)}", kind, STATE_IT)
    read, analysed, rows = flow.count("read"), flow.count("analysed"), training.count("rows")
    excluded = _steps(flow, "excluded")
    if read - sum(step.rows for step in excluded) != analysed or analysed != rows:
        rule = "must add up: rows read, less those excluded, are those analysed"
        flow.refuse("", rule, f"{read} read, {analysed} analysed, {rows} fitted on", FIT_AGAIN)
    return Data(
        kind=kind,
        source=cohort.text("source", STATE_IT),
        licence=cohort.text("licence", STATE_IT),
        limits=cohort.texts("limits", STATE_IT),
        file=cohort.text("file", FROM_A_FILE),
        sha256=cohort.text("sha256", FROM_A_FILE),
        read=read,
        excluded=excluded,
        changed=_steps(flow, "changed"),
        analysed=analysed,
        rows=rows,
        patients=training.count("patients"),
        events=training.count("events"),
        patients_with_event=training.count("patients_with_event"),
        shortest=follow_up.number("shortest"),
        median_follow_up=follow_up.number_or_none("median"),
        longest=follow_up.number("longest"),
    )


def _steps(flow: Facts, key: str) -> tuple[Step, ...]:
    steps = flow.tables(key, may_be_empty=True)
    return tuple(Step(step.text("rule"), step.count("rows")) for step in steps)


def _predictor(counts: Facts, in_levels: Facts | None, p: Predictor, rows: int) -> PredictorFacts:
    found = counts.table(p.name)
    common = (p.name, p.label, p.help, p.role == "treatment")
    if not p.is_category:
        keys = Distribution.__dataclass_fields__
        distribution = Distribution(**{key: found.number(key) for key in keys})
        return PredictorFacts(*common, (), p.unit, p.range, p.form, distribution)
    levels, by_patient = [], in_levels.table(p.name) if in_levels else None
    for level, label in zip(p.levels, p.shown_levels, strict=True):
        n, whom = found.count(level), by_patient.table(level) if by_patient else None
        levels.append(
            LevelCount(
                level, label, n, n / rows if rows else 0.0, level == p.levels[0],
                whom.count("patients") if whom else None, whom.count("events") if whom else None,
            )
        )  # fmt: skip
    if sum(item.rows for item in levels) != rows:
        found.refuse("", f"must add up to the {rows} rows fitted on", None, FIT_AGAIN)
    return PredictorFacts(*common, tuple(levels), "", None, "", None)


def _performance(
    evaluation: Facts, kind: str, seed: int, external: tuple[External, ...]
) -> Performance:
    c = evaluation.table("concordance")
    # Others are refitted to have out-of-bag figures; a forest's trees have them already.
    refits = evaluation.table("refits") if kind != "forest" else None
    pairs = c.table("pairs") if "pairs" in c else None
    return Performance(
        in_sample=c.number("in_sample"),
        out_of_bag=c.number("out_of_bag"),
        out_of_bag_how=c.text("out_of_bag_how"),
        out_of_bag_rows=c.count("out_of_bag_rows"),
        seed=seed,
        refits=None if refits is None else refits.count("done"),
        refits_failed=None if refits is None else refits.count("failed"),
        judged=judged_of(evaluation.table("validation")) if "validation" in evaluation else None,
        later=later_of(evaluation),
        external=external,
        void=(),
        plots=(),
        pairs_in_sample=pairs_of(pairs.table("in_sample")) if pairs else None,
        pairs_out_of_bag=pairs_of(pairs.table("out_of_bag")) if pairs else None,
    )


def _intervals(intervals: Facts) -> Intervals:
    if intervals.flag("available"):
        # A manifest that names no kind means a confidence interval.
        kind = intervals.text("kind") if "kind" in intervals else "confidence"
        return Intervals(True, kind, intervals.number("level"), intervals.text("method"))
    return Intervals(False, "none", None, intervals.text("reason"))


def _risk_groups(groups: Facts) -> RiskGroups:
    labels, cuts = groups.texts("labels"), groups.numbers("cut_points")
    counts = groups.numbers("training_counts")
    if not labels or len(labels) != len(cuts) + 1 or len(counts) != len(labels):
        rule = "must have one label and one count more than cut points"
        found = f"{len(labels)} labels, {len(counts)} counts, {len(cuts)} cut points"
        groups.refuse("", rule, found, FIT_AGAIN)
    ends: tuple[float | None, ...] = (None, *cuts, None)
    made = zip(labels, ends, ends[1:], counts, strict=False)
    return RiskGroups(
        tuple(RiskGroup(label, above, up_to, int(n)) for label, above, up_to, n in made),
        groups.text("rule"),
    )
