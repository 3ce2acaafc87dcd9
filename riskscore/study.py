"""The study file: what a cohort's columns mean, said once.

`load_study` reads a TOML file into a `Study`; everything else that knows a predictor's name, levels
or range (checks, encoding, ONNX inputs, HTTP schema, cards) asks the `Study`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from riskscore._reader import Reader
from riskscore.errors import Problem, StudyError

__all__ = ["Outcome", "Predictor", "Study", "load_study", "shipped_studies"]

FORMAT = 1
"""Format of a study file. Raise it when a file that was valid changes its meaning."""

TIME_UNITS = ("day", "week", "month", "year")
FORMS = ("linear", "log", "spline")
KNOTS = tuple(range(3, 8))
DEFAULT_KNOTS = 4
"""Knots a spline may ask for, and has where its study does not say."""

ROLES = ("predictor", "treatment")

STUDIES = Path(__file__).parent / "studies"


@dataclass(frozen=True)
class Outcome:
    """A time-to-event outcome.

    Attributes
    ----------
    time, event : str
        Columns of the cohort: follow-up time in the study's unit, and 1 (event) or 0 (censored).
    horizons : tuple of float
        Times at which predictions are reported and judged, ascending, in the study's unit.
    competing : str
        Column that is 1 where an event happened after which this one cannot, as death before
        progression; it may be another outcome's event. Empty where nothing competes.
    """

    name: str
    label: str
    time: str
    event: str
    horizons: tuple[float, ...]
    competing: str = ""


@dataclass(frozen=True)
class Predictor:
    """A category (`levels`, the first being the reference) or a number (`unit` and `range`).

    `knots` is how many a number of form "spline" asks for; None for every other form.
    """

    name: str
    label: str
    levels: tuple[str, ...] = ()
    level_labels: tuple[str, ...] = ()
    unit: str = ""
    range: tuple[float, float] | None = None
    form: str = "linear"
    knots: int | None = None
    role: str = "predictor"
    help: str = ""
    codes: tuple[tuple[str, str], ...] = ()

    @property
    def is_category(self) -> bool:
        """Whether the predictor takes one of its `levels` rather than a number."""
        return bool(self.levels)

    @cached_property
    def index(self) -> dict[str, float]:
        """The number each level has in the model's input: its position, 0 for the reference."""
        return {level: float(i) for i, level in enumerate(self.levels)}

    @property
    def shown_levels(self) -> tuple[str, ...]:
        """The levels as a person reads them: their labels, or themselves."""
        return self.level_labels or self.levels

    @property
    def unit_words(self) -> str:
        """The unit as written after a number: "years", "ng/mL"."""
        return f"{self.unit}s" if self.unit in TIME_UNITS else self.unit

    def allowed(self) -> str:
        """Return in words what values the predictor takes."""
        if self.is_category:
            return "one of " + ", ".join(f'"{level}"' for level in self.levels)
        assert self.range is not None
        return f"{self.range[0]:.12g} to {self.range[1]:.12g} {self.unit_words}"


@dataclass(frozen=True)
class Study:
    """What one study file declares. Build it with `load_study` or `Study.from_dict`."""

    id: str
    title: str
    population: str
    time_unit: str
    time_origin: str
    outcomes: dict[str, Outcome]
    predictors: dict[str, Predictor]
    cluster: str = ""
    source: str = ""
    where: str = field(default="study", compare=False)

    @classmethod
    def from_dict(cls, declared: dict[str, Any], where: str = "study") -> Study:
        """Build a study from the tables of its file.

        Parameters
        ----------
        declared : dict
            The parsed TOML file, or `Study.to_dict` of another study.
        where : str
            Name of the file, for error messages.

        Raises
        ------
        StudyError
            Listing every broken rule with file, key, rule and remedy.
        """
        reader = Reader(declared)
        study = _read_study(reader, where)
        if study is None or reader.problems:
            raise StudyError(reader.problems, where)
        return study

    def to_dict(self) -> dict[str, Any]:
        """Return the study as the tables of a file that `from_dict` reads back."""
        head = {
            key: getattr(self, key)
            for key in (
                "id", "title", "population", "time_unit", "time_origin", "cluster", "source",
            )
            if getattr(self, key)
        }  # fmt: skip
        return {
            "format": FORMAT,
            "study": head,
            "outcomes": {
                o.name: {
                    "label": o.label,
                    "time": o.time,
                    "event": o.event,
                    "horizons": list(o.horizons),
                    **({"competing": o.competing} if o.competing else {}),
                }
                for o in self.outcomes.values()
            },
            "predictors": {p.name: _predictor_table(p) for p in self.predictors.values()},
        }

    def outcome(self, name: str) -> Outcome:
        """Return the outcome of that name, or raise `StudyError` naming those declared."""
        found: Outcome = self._declared("outcome", self.outcomes, name)
        return found

    @property
    def treatment(self) -> Predictor | None:
        """The predictor whose role is treatment, if one is declared."""
        return next((p for p in self.predictors.values() if p.role == "treatment"), None)

    def reduced(self, outcome: str, predictors: tuple[str, ...] | None = None) -> Study:
        """Return the study with one outcome and the named predictors, in the study's order."""
        chosen = self.outcome(outcome)
        names = tuple(self.predictors) if predictors is None else predictors
        for name in names:
            self._declared("predictor", self.predictors, name)
        if not names or len(set(names)) != len(names):
            raise StudyError(
                [
                    Problem(
                        None,
                        "predictors",
                        "must name at least one predictor, each once",
                        ",".join(names),
                        f"choose from {', '.join(self.predictors)}",
                    )
                ],
                self.where,
            )
        return replace(
            self,
            outcomes={chosen.name: chosen},
            predictors={n: p for n, p in self.predictors.items() if n in names},
        )

    def _declared(self, kind: str, table: dict[str, Any], name: str) -> Any:
        if name not in table:
            rule = f"must be declared by study {self.id}"
            problem = Problem(None, kind, rule, name, f"choose from {', '.join(table)}")
            raise StudyError([problem], self.where)
        return table[name]


def load_study(path: str | Path) -> Study:
    """Read a study file.

    Parameters
    ----------
    path : str or Path
        A TOML file, or the id of a study that is shipped ("deb-tace-hcc").

    Raises
    ------
    StudyError
        If the file is missing, is not TOML, or breaks a rule; every broken rule is listed.

    Examples
    --------
    >>> study = load_study("deb-tace-hcc")
    >>> study.predictors["tumor_number"].levels
    ('<=3', '>3')
    """
    shipped = shipped_studies()
    file = shipped.get(str(path), Path(path))
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        remedy = f"give a TOML file, or one of {', '.join(shipped)}"
        problem = Problem(None, "file", f"must be readable ({reason})", None, remedy)
        raise StudyError([problem], str(path)) from error
    try:
        declared = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = Problem(None, "file", f"must be TOML: {error}", None, "mend the line it names")
        raise StudyError([problem], str(path)) from error
    return Study.from_dict(declared, file.name)


def shipped_studies() -> dict[str, Path]:
    """Return the study files inside the package, by id."""
    return {path.stem: path for path in sorted(STUDIES.glob("*.toml"))}


def _predictor_table(p: Predictor) -> dict[str, Any]:
    table: dict[str, Any] = {"label": p.label}
    if p.is_category:
        table["levels"] = list(p.levels)
        if p.level_labels:
            table["level_labels"] = list(p.level_labels)
    else:
        assert p.range is not None
        table |= {"unit": p.unit, "range": list(p.range), "form": p.form}
        if p.knots is not None:
            table["knots"] = p.knots
    if p.role != "predictor":
        table["role"] = p.role
    if p.help:
        table["help"] = p.help
    if p.codes:
        table["codes"] = dict(p.codes)
    return table


def _read_study(reader: Reader, where: str) -> Study | None:
    reader.keys("format", "study", "outcomes", "predictors")
    reader.one_of("format", (FORMAT,), remedy=f"this version reads format {FORMAT}")
    head = reader.table("study")
    head.keys(
        "id", "title", "population", "time_unit", "time_origin", "cluster", "source",
    )  # fmt: skip
    outcomes = {name: _read_outcome(name, t) for name, t in reader.tables("outcomes")}
    predictors = {name: _read_predictor(name, t) for name, t in reader.tables("predictors")}
    study = Study(
        id=head.slug("id"),
        title=head.text("title"),
        population=head.text("population"),
        time_unit=head.one_of("time_unit", TIME_UNITS),
        time_origin=head.text("time_origin"),
        cluster=head.text("cluster", optional=True),
        source=head.text("source", optional=True),
        outcomes=outcomes,
        predictors=predictors,
        where=where,
    )
    if not reader.problems:
        _check_columns(reader, study)
    return None if reader.problems else study


def _read_outcome(name: str, reader: Reader) -> Outcome:
    reader.keys("label", "time", "event", "horizons", "competing")
    return Outcome(
        name=reader.identifier(name),
        label=reader.text("label"),
        time=reader.text("time"),
        event=reader.text("event"),
        horizons=reader.ascending("horizons"),
        competing=reader.text("competing", optional=True),
    )


def _read_predictor(name: str, reader: Reader) -> Predictor:
    reader.identifier(name)
    common = ("label", "role", "help", "codes", "missing")
    reader.one_of("missing", ("refuse",), default="refuse")
    shared: dict[str, Any] = {
        "name": name,
        "label": reader.text("label", optional=True) or name.replace("_", " "),
        "role": reader.one_of("role", ROLES, default="predictor"),
        "help": reader.text("help", optional=True),
        "codes": reader.pairs("codes"),
    }
    if "levels" in reader:
        reader.keys("levels", "level_labels", *common)
        levels = reader.levels("levels")
        labels = reader.levels("level_labels") if "level_labels" in reader else ()
        if labels and len(labels) != len(levels):
            remedy = "label every level, in their order"
            reader.refuse("level_labels", f"must be {len(levels)}", ", ".join(labels), remedy)
        return Predictor(levels=levels, level_labels=labels, **shared)
    reader.keys("unit", "range", "form", "knots", *common)
    if "range" not in reader:
        rule = "must have levels (a category) or unit and range (a number)"
        reader.refuse("", rule, None, 'add levels = ["no", "yes"], or unit and range')
        return Predictor(range=(0.0, 1.0), **shared)
    form = reader.one_of("form", FORMS, default="linear")
    knots = None
    if form == "spline":
        knots = reader.one_of("knots", KNOTS, default=DEFAULT_KNOTS)
    elif "knots" in reader:
        remedy = 'declare form = "spline" too, or drop knots'
        reader.refuse("knots", "belongs to a spline", reader.values["knots"], remedy)
    number = Predictor(
        unit=reader.text("unit"),
        range=reader.interval("range"),
        form=form,
        knots=knots,
        **shared,
    )
    assert number.range is not None
    if number.form == "log" and number.range[0] <= 0:
        remedy = 'raise the lower end of range above 0, or use form = "linear"'
        reader.refuse("form", "log needs a range above 0", list(number.range), remedy)
    if number.role == "treatment":
        remedy = "declare its levels, or drop the role"
        reader.refuse("role", "treatment needs levels to compare", "treatment", remedy)
    return number


def _check_columns(reader: Reader, study: Study) -> None:
    """Refuse columns that mean two things: each is an outcome's, a predictor's or the cluster."""
    meaning: dict[str, str] = {name: f"predictors.{name}" for name in study.predictors}
    columns = [
        (f"outcomes.{o.name}.{key}", getattr(o, key))
        for o in study.outcomes.values()
        for key in ("time", "event")
    ]
    if study.cluster:
        columns.append(("study.cluster", study.cluster))
    for key, column in columns:
        if column in meaning:
            rule = f"must not be the column of {meaning[column]} too"
            reader.refuse(key, rule, column, "name each column once")
        meaning[column] = key
    for o in study.outcomes.values():
        # Another outcome's event may compete; its own event, a time or a predictor cannot.
        other = meaning.get(o.competing, "")
        if other and (not other.endswith(".event") or other == f"outcomes.{o.name}.event"):
            key, rule = f"outcomes.{o.name}.competing", f"must not be the column of {other} too"
            reader.refuse(key, rule, o.competing, "name the competing event's own column")
    treatments = [p.name for p in study.predictors.values() if p.role == "treatment"]
    if len(treatments) > 1:
        rule = "at most one may have role treatment"
        reader.refuse("predictors", rule, ", ".join(treatments), "drop the role from the others")
