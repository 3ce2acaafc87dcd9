"""What only people know of a model, from a hand-written TOML file.

A user's own model has one complete file: `statements.toml` in its bundle, or wherever
`--statements` says. The models of this project have theirs in ``model_cards/<study>/<outcome>/
<name>/``; what several share stands once, in a file of the same name further up, and the nearest
file wins.

Nothing is ever filled in for the author: a field that is missing, empty, or still as the template
wrote it is a problem, and no card is made.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from riskscore.bundle import Bundle
from riskscore.errors import Problem, json_safe

__all__ = [
    "DEFAULT", "HERE", "STATEMENTS", "About", "Asked", "Background", "Developer", "Ethics",
    "Fairness", "Maintenance", "Methods", "OpenScience", "Release", "Risk", "Statements", "Use",
    "Validation", "denied_tests", "folder_of", "read_statements", "rows", "source_of",
    "statements_of", "template",
]  # fmt: skip

STATEMENTS = "statements.toml"
HERE = Path(__file__).parent
"""Where the statements and cards of this project's own models are."""

DEFAULT = "TO BE STATED"
"""What the template writes, and no card accepts."""

UNSTATED = re.compile(
    r"\b(to be stated|todo|tbd|fixme|fill in|fill this in|lorem ipsum)\b|\?{3}", re.I
)
"""Texts that stand for a statement nobody has made yet."""

UNTESTED = re.compile(r"\bno (other data|test on other data)\b|^nobody\b", re.I)
"""Texts that say a model was tested on no other data."""


@dataclass(frozen=True)
class Asked:
    """Mark of a field: the question its author answers."""

    question: str


@dataclass(frozen=True)
class About:
    """Which model the statements were written for."""

    data_source: Annotated[
        str,
        Asked(
            "The source of the training data, as the manifest has it (training.cohort.source). "
            "Statements written for one cohort are refused for another."
        ),
    ]


@dataclass(frozen=True)
class Developer:
    """Who answers for the model."""

    name: Annotated[str, Asked("Who developed the model?")]
    contact: Annotated[str, Asked("Where are they reached?")]
    funding: Annotated[str, Asked("Who paid for the work, and what part had they in it?")]
    conflicts: Annotated[str, Asked("Which interests could have biased the developers?")]
    third_parties: Annotated[str, Asked("What of the model or its data comes from others?")]
    stakeholders: Annotated[
        str, Asked("Which clinicians, patients or others were consulted, and about what?")
    ]


@dataclass(frozen=True)
class Release:
    """How far the model is, and where it may be used."""

    stage: Annotated[str, Asked("Stage: research, demonstration, pilot, in use?")]
    availability: Annotated[str, Asked("In which countries or places is it available?")]
    regulatory: Annotated[str, Asked("Which regulatory clearance does it have?")]
    keywords: Annotated[tuple[str, ...], Asked("Words by which it should be found.")]


@dataclass(frozen=True)
class Background:
    """Why the model exists."""

    context: Annotated[str, Asked("What is the clinical situation, and what exists already?")]
    inequalities: Annotated[
        str, Asked("Which inequalities between groups of patients are known in this condition?")
    ]
    objective: Annotated[str, Asked("What was the aim: development, evaluation or both?")]


@dataclass(frozen=True)
class Use:
    """What the model is for, and what it is not for."""

    intended: Annotated[str, Asked("For which use is it meant, at which point of care?")]
    users: Annotated[str, Asked("Who is meant to use it?")]
    role: Annotated[str, Asked("What part has its answer in the decision?")]
    how: Annotated[str, Asked("How is it to be used, step by step?")]
    expertise: Annotated[str, Asked("What must a user know or be trained in?")]
    input_quality: Annotated[
        str, Asked("How good must the inputs be, and what if one is poor or missing?")
    ]
    out_of_scope: Annotated[tuple[str, ...], Asked("For what must it not be used?")]


@dataclass(frozen=True)
class Risk:
    """What could go wrong for a patient."""

    level: Annotated[str, Asked("How high is the clinical risk of a wrong answer, and why?")]
    risks: Annotated[tuple[str, ...], Asked("Which risks of its use are known?")]


@dataclass(frozen=True)
class Methods:
    """What the data cannot say about how they came to be."""

    setting: Annotated[str, Asked("In which centres, countries and years were the data gathered?")]
    eligibility: Annotated[str, Asked("Who was included, who excluded?")]
    treatments: Annotated[str, Asked("What treatment did the participants receive?")]
    outcome_assessed: Annotated[str, Asked("Who determined the outcome, how, and blinded to what?")]
    predictors_chosen: Annotated[str, Asked("How were the predictors chosen?")]
    predictors_assessed: Annotated[str, Asked("Who determined the predictors, how and when?")]
    sample_size: Annotated[str, Asked("Why this number of participants?")]
    missing_data: Annotated[str, Asked("What was missing, and how was it handled?")]
    preparation: Annotated[str, Asked("How were the data prepared, and alike in every group?")]


@dataclass(frozen=True)
class Fairness:
    """How groups of patients fare with the model."""

    sensitive_variables: Annotated[
        str,
        Asked(
            "Which of race, ethnicity, language, sexual orientation, gender identity, sex, date of "
            "birth, social determinants and health status does the model use?"
        ),
    ]
    representativeness: Annotated[str, Asked("Whom do the training data represent, whom not?")]
    relevance: Annotated[
        str, Asked("How do the training data compare with the setting where it is deployed?")
    ]
    approach: Annotated[str, Asked("How was fairness pursued?")]
    bias_reduction: Annotated[str, Asked("What was done against bias?")]
    internal: Annotated[str, Asked("How fair is it in the training data?")]
    external: Annotated[str, Asked("How fair is it in other data?")]


@dataclass(frozen=True)
class Validation:
    """What tests beyond the training data there were."""

    external_source: Annotated[str, Asked("On which other data was it tested?")]
    external_tester: Annotated[str, Asked("Who tested it there?")]
    external_representativeness: Annotated[str, Asked("Whom do those data represent?")]
    external_process: Annotated[str, Asked("How was it tested there?")]
    external_validity: Annotated[str, Asked("What did the test on other data show?")]
    local: Annotated[str, Asked("How valid is it in the data of the place where it runs?")]
    local_fairness: Annotated[str, Asked("How fair is it there?")]
    outcome_evaluations: Annotated[str, Asked("Was the effect of its use on patients studied?")]


@dataclass(frozen=True)
class Ethics:
    """Approval and consent."""

    approval: Annotated[str, Asked("Which ethics committee approved the work?")]
    consent: Annotated[str, Asked("Did the patients consent, or was consent waived?")]
    considerations: Annotated[str, Asked("Which biases or ethical questions should users know?")]


@dataclass(frozen=True)
class OpenScience:
    """What others can look up."""

    protocol: Annotated[str, Asked("Where is the protocol?")]
    registration: Annotated[str, Asked("Where was the study registered?")]
    data: Annotated[str, Asked("How can others obtain the data?")]
    code: Annotated[str, Asked("How can others obtain the code?")]
    licence: Annotated[str, Asked("Licence of the model, as an SPDX identifier in small letters.")]
    publications: Annotated[str, Asked("Peer-reviewed publications of or about the model.")]
    involvement: Annotated[str, Asked("How were patients and the public involved?")]
    next_research: Annotated[str, Asked("What must be studied next?")]


@dataclass(frozen=True)
class Maintenance:
    """What happens after release."""

    validity: Annotated[str, Asked("How is its validity watched over time?")]
    fairness: Annotated[str, Asked("How is its fairness watched over time?")]
    updates: Annotated[str, Asked("How, how often and by whom is it updated?")]
    faults: Annotated[str, Asked("How are faults reported and corrected?")]
    security: Annotated[str, Asked("How are the model and the patients' values protected?")]


@dataclass(frozen=True)
class Statements:
    """Everything that is stated by hand; a section is a table of the TOML file."""

    about: About
    developer: Developer
    release: Release
    background: Background
    use: Use
    risk: Risk
    methods: Methods
    fairness: Fairness
    validation: Validation
    ethics: Ethics
    open_science: OpenScience
    maintenance: Maintenance


def folder_of(model_id: str, root: Path = HERE) -> Path:
    """Return the folder of a model of this project: its statements and its committed cards."""
    return root.joinpath(*model_id.split("/"))


def statements_of(bundle: Bundle, file: str | Path | None, problems: list[Problem]) -> Statements:
    """Return the statements of a model: of `file`, else of its bundle, else of this project.

    Parameters
    ----------
    bundle : Bundle
    file : str, Path or None
        The statements, where they are neither in the bundle nor this project's.
    problems : list of Problem
        Where to note what is missing, empty, unknown, still at its default, or written for a
        cohort from another source. Then the statements hold blanks, and no card may be made.
    """
    if file is not None:
        files = [Path(file)]
    elif bundle.attachment(STATEMENTS) is not None:
        files = [bundle.path / STATEMENTS]
    else:
        files = _layers(bundle.manifest.id)
    if not files or not all(path.is_file() for path in files):
        remedy = "write a template by python -m model_cards new BUNDLE, and answer it"
        what = str(file) if file is not None else STATEMENTS
        problems.append(Problem(None, what, "does not exist", None, remedy))
        return read_statements([], [])
    statements = read_statements(files, problems)
    stated, source = statements.about.data_source, source_of(bundle)
    if stated and source and not UNSTATED.search(stated) and stated != source:
        rule = f"must be the source of the training data, {source!r}"
        remedy = "write statements for this model; these speak of another cohort"
        problems.append(Problem(None, "about.data_source", rule, json_safe(stated), remedy))
    return statements


def denied_tests(statements: Statements) -> list[Problem]:
    """Return a problem for each statement that there was no test on other data: for who has one."""
    answers = {"fairness.external": statements.fairness.external}
    for f in fields(statements.validation):
        if f.name.startswith("external_"):
            answers[f"validation.{f.name}"] = getattr(statements.validation, f.name)
    rule = "must not say that there was no test on other data: the bundle holds one in external/"
    remedy = "say in the statements what was tested there, or take its file out"
    return [
        Problem(None, field, rule, answer, remedy)
        for field, answer in answers.items()
        if UNTESTED.search(answer)
    ]


def source_of(bundle: Bundle) -> str:
    """Return where the training data come from, as the manifest has it; "" if it does not say."""
    cohort = bundle.manifest.training.get("cohort")
    return str(cohort.get("source", "")) if isinstance(cohort, dict) else ""


def _layers(model_id: str, root: Path | None = None) -> list[Path]:
    """Return the files of a model of this project, what is shared first; none if it has no own."""
    root = HERE if root is None else root
    own = folder_of(model_id, root) / STATEMENTS
    if not own.is_file():
        return []
    shared = [folder / STATEMENTS for folder in own.parent.parents if folder.is_relative_to(root)]
    return [*(path for path in reversed(shared) if path.is_file()), own]


def read_statements(files: list[Path], problems: list[Problem]) -> Statements:
    """Return what the files state, the later winning; what is wrong is added to `problems`."""
    merged: dict[str, dict[str, Any]] = {}
    for path in files:
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            problems.append(
                Problem(None, path.name, "must be TOML in UTF-8", json_safe(error), "mend it")
            )
            continue
        for section, table in content.items():
            if isinstance(table, dict):
                merged.setdefault(section, {}).update(table)
            else:
                merged[section] = table
    hints = get_type_hints(Statements)
    for unknown in merged.keys() - hints.keys():
        remedy = f"use one of {', '.join(hints)}"
        problems.append(Problem(None, unknown, "is no section of the statements", None, remedy))
    made = {
        name: _section(kind, merged.get(name, {}), name, problems) for name, kind in hints.items()
    }
    return Statements(**made)


def _section(kind: type, table: object, path: str, problems: list[Problem]) -> Any:
    asked = _asked(kind)
    if not isinstance(table, dict):
        problems.append(Problem(None, path, "must be a table", json_safe(table), "mend it"))
        table = {}
    for unknown in sorted(table.keys() - asked.keys()):
        remedy = f"use one of {', '.join(asked)}"
        problems.append(Problem(None, f"{path}.{unknown}", "is unknown", None, remedy))
    return kind(
        **{
            name: _value(table.get(name), many, f"{path}.{name}", question, problems)
            for name, (many, question) in asked.items()
        }
    )


def _value(value: object, many: bool, path: str, question: str, problems: list[Problem]) -> Any:
    """Return a text, or several; note one that says nothing."""
    blank: Any = () if many else ""
    remedy = f"state it: {question}"
    if value is None:
        problems.append(Problem(None, path, "is missing", None, remedy))
        return blank
    texts: list[Any] = value if many and isinstance(value, list) else [value]
    if (many and not isinstance(value, list)) or not all(isinstance(t, str) for t in texts):
        rule = "must be a list of texts" if many else "must be a text"
        problems.append(Problem(None, path, rule, json_safe(value), remedy))
        return blank
    if not texts or not all(text.strip() for text in texts):
        problems.append(Problem(None, path, "is empty", None, remedy))
        return blank
    for text in texts:
        if UNSTATED.search(text):
            problems.append(Problem(None, path, "is still at its default", json_safe(text), remedy))
    plain = tuple(" ".join(text.split()) for text in texts)
    return plain if many else plain[0]


def rows(statements: Statements) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the sections for a reader: heading, and pairs of label and text."""
    found = []
    for section in fields(statements):
        if section.name == "about":  # it is for the machine: the card names the source itself
            continue
        part = getattr(statements, section.name)
        pairs = []
        for field in fields(part):
            value = getattr(part, field.name)
            text = value if isinstance(value, str) else "; ".join(t.rstrip(".") for t in value)
            pairs.append((_words(field.name), text))
        found.append((_words(section.name), pairs))
    return found


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


@cache
def _asked(kind: type) -> dict[str, tuple[bool, str]]:
    """Return, for each field of a section, whether it is a list, and its question."""
    hints = get_type_hints(kind, include_extras=True)
    found = {}
    for field in fields(kind):
        base, *marks = get_args(hints[field.name])
        question = next(mark.question for mark in marks if isinstance(mark, Asked))
        found[field.name] = (get_origin(base) is tuple, question)
    return found


def template(data_source: str = DEFAULT) -> str:
    """Return a file of statements with every question and no answer; no card accepts it."""
    lines = [
        "# What only people know of this model. Answer every question in plain words: who reviews",
        f'# the card reads it as it stands. While any answer is "{DEFAULT}" no card is made; where',
        '# something does not apply, say so and why ("None: ...").',
    ]
    for section, kind in get_type_hints(Statements).items():
        lines += ["", f"[{section}]"]
        for name, (many, question) in _asked(kind).items():
            text = data_source if (section, name) == ("about", "data_source") else DEFAULT
            quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
            lines += [f"# {question}", f"{name} = {f'[{quoted}]' if many else quoted}"]
    return "\n".join(lines) + "\n"
