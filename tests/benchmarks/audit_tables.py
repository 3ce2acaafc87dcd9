"""Studies with no error in them: simulated cohorts, analysed and printed as an article would.

Everything printed comes from one cohort: a Cox fit, Kaplan-Meier medians, log-rank tests, tests of
counts and means by libraries that the audit does not use itself where there is a choice (lifelines,
scipy), rounded to the digits an article gives. A finding in such a study is a false alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from lifelines import KaplanMeierFitter
from lifelines.statistics import logrank_test
from lifelines.utils import median_survival_times
from numpy.typing import NDArray
from scipy import stats
from sksurv.util import Surv

from training.cox import CoxModel
from training.published import Printed, Published
from training.published.records import (
    AdverseEvent,
    Arm,
    Claim,
    Counts,
    Effect,
    Events,
    FollowUp,
    GradedEvent,
    Logrank,
    Means,
    Median,
    Rate,
    Statement,
    StudyHead,
    Total,
)

__all__ = ["Cohort", "print_study", "simulate_cohort", "simulate_study"]

Array = NDArray[Any]
ARMS = ("drug", "control")
BINARY = ("invasion", "spread", "many")
ORDINAL = "ecog"
Z95 = float(stats.norm.ppf(0.975))


@dataclass(frozen=True)
class Cohort:
    """One simulated cohort; `x` holds a column a predictor, binary ones as 0 and 1."""

    arm: Array
    x: dict[str, Array]
    time: Array
    event: Array


def simulate_study(seed: int, *, likelihood_ratio: bool = False, largest: int = 400) -> Published:
    """Return the printed figures of a simulated study.

    Parameters
    ----------
    seed : int
    likelihood_ratio : bool
        Whether the Cox table's univariable P values are the likelihood-ratio test's, which some
        programs print beside a Wald interval.
    largest : int
        Most patients.
    """
    random = np.random.default_rng(seed)
    return print_study(simulate_cohort(random, largest), random, likelihood_ratio=likelihood_ratio)


def simulate_cohort(random: np.random.Generator, largest: int = 400) -> Cohort:
    """Return 50 or more patients with entangled predictors, censoring and rounded times."""
    n = int(random.integers(50, largest + 1))
    latent = random.normal(size=n)
    arm = random.random(n) < random.uniform(0.3, 0.7)
    entangled = random.uniform(0.0, 0.8)
    x: dict[str, Array] = {}
    for name in BINARY:
        own = entangled * latent + np.sqrt(1 - entangled**2) * random.normal(size=n)
        x[name] = (own < np.quantile(own, random.uniform(0.15, 0.5))).astype(float)
    x[ORDINAL] = np.digitize(latent + random.normal(size=n), [-0.5, 1.2]).astype(float)
    x["age"] = np.clip(np.round(random.normal(61, 9, n)), 18, 80)
    x["treatment"] = arm.astype(float)
    effects = {name: random.normal(0, 0.5) for name in x if name != "age"} | {"age": 0.01}
    risk = sum(effects[name] * (x[name] - x[name].mean()) for name in x)
    death = 18 * random.weibull(random.uniform(0.9, 1.6), n) * np.exp(-risk / 1.3)
    censored = random.uniform(*random.choice([(8, 36), (20, 60), (2, 30)]), size=n)
    step = random.choice([1.0, 0.1, 0.01])
    time = np.maximum(np.round(np.minimum(death, censored) / step) * step, step)
    return Cohort(arm, x, time, death <= censored)


def print_study(
    cohort: Cohort, random: np.random.Generator, *, likelihood_ratio: bool = False
) -> Published:
    """Return a cohort's analysis, rounded to 2 or 3 decimals."""
    writer = _Writer(cohort, random, likelihood_ratio)
    effects = [effect for effect, _ in writer.effects()]
    medians = writer.medians()
    rows, rates = writer.responses()
    adverse = writer.adverse()
    total = int(cohort.x["invasion"].sum())
    share = writer.number(100 * total / len(cohort.arm), writer.percents)
    observed = cohort.time
    return Published(
        study=StudyHead("simulated", "none", "Nobody, a simulation", "simulated", "month"),
        arms=tuple(Arm(a, a, n, "Table 1") for a, n in zip(ARMS, writer.sizes, strict=True)),
        means=(writer.mean("age"),),
        counts=(*(writer.count(name) for name in (*BINARY, ORDINAL)), *rows),
        rates=rates,
        totals=(Total("Text", "Invasion", total, "invasion", "1", percent=share),),
        events=(Events("Text", "os", int(cohort.event.sum())),),
        follow_up=(
            FollowUp(
                "Text",
                "os",
                *(writer.number(f(observed), 1) for f in (np.min, np.max, np.mean)),
            ),
        ),
        medians=medians,
        logranks=(writer.logrank(),),
        effects=tuple(effects),
        adverse_events=adverse,
        graded_events=writer.graded(),
        statements=writer.statements(),
        claims=(
            Claim("Text", "patients", "equals", ("arms", "n"), Printed(str(len(cohort.arm)))),
            Claim("Text", "rows", "equals", ("effects", "univariable", "rows"), Printed("6")),
        ),
    )


class _Writer:
    """One study's habits (digits, software, tests), drawn once, and its tables."""

    def __init__(self, cohort: Cohort, random: np.random.Generator, likelihood_ratio: bool):
        self.cohort, self.random, self.likelihood_ratio = cohort, random, likelihood_ratio
        self.digits, self.p_digits = (int(random.integers(2, 4)) for _ in range(2))
        self.percents, self.mean_digits = (int(random.integers(1, 3)) for _ in range(2))
        self.spss = bool(random.random() < 0.5)
        self.sizes = tuple(int(n) for n in (cohort.arm.sum(), (~cohort.arm).sum()))
        self.fitted = self._fits()

    def number(self, value: float, digits: int | None = None) -> Printed:
        return Printed(f"{value:.{self.digits if digits is None else digits}f}")

    def p(self, value: float) -> Printed:
        least = 10.0**-self.p_digits
        if value < least and self.random.random() < 0.5:
            return Printed(f"<{least:.{self.p_digits}f}")
        return self.number(value, self.p_digits)

    def effects(self) -> list[tuple[Effect, float]]:
        found = []
        for model, name, b, se, p in self.fitted:
            binary = name in BINARY or name == "treatment"
            found.append(
                (
                    Effect(
                        where=f"Table 2, {model}",
                        outcome="os",
                        model=model,
                        variable=name,
                        label=name,
                        hr=self.number(np.exp(b)),
                        lower=self.number(np.exp(b - Z95 * se)),
                        upper=self.number(np.exp(b + Z95 * se)),
                        p=self.p(p),
                        coefficient=self.number(b, 3) if model == "multivariable" else None,
                        level=("drug" if name == "treatment" else "1") if binary else None,
                        reference=("control" if name == "treatment" else "0") if binary else None,
                    ),
                    p,
                )
            )
        return found

    def _fits(self) -> list[tuple[str, str, float, float, float]]:
        x, y = self.cohort.x, Surv.from_arrays(self.cohort.event, self.cohort.time)
        found = []
        for name in x:
            model = CoxModel().fit(x[name][:, None], y)
            row = model.coefficients((name,))[0]
            p = row.p
            if self.likelihood_ratio:
                gain = 2 * (model.sums_.loglik - model.loglik_null_)
                p = float(stats.chi2.sf(max(gain, 0.0), 1))
            found.append(("univariable", name, row.coef, row.se, p))
        joint = CoxModel().fit(np.column_stack(list(x.values())), y)
        rows = joint.coefficients(tuple(x))
        return found + [("multivariable", r.term, r.coef, r.se, r.p) for r in rows]

    def medians(self) -> tuple[Median, ...]:
        found = []
        for arm, members in zip(ARMS, (self.cohort.arm, ~self.cohort.arm), strict=True):
            curve = KaplanMeierFitter().fit(self.cohort.time[members], self.cohort.event[members])
            median = float(curve.median_survival_time_)
            bounds = median_survival_times(curve.confidence_interval_).to_numpy().ravel()
            if not np.isfinite([median, *bounds]).all():
                continue
            half = float(bounds[1] - bounds[0]) / 2
            ends = (median - half, median + half) if self.spss else bounds
            low, high = (self.number(end, 3) for end in ends)
            found.append(Median("Text", "os", arm, self.number(median, 1), low, high))
        return tuple(found)

    def logrank(self) -> Logrank:
        c = self.cohort
        test = logrank_test(c.time[c.arm], c.time[~c.arm], c.event[c.arm], c.event[~c.arm])
        return Logrank("Text", "os", self.number(test.test_statistic, 3), self.p(test.p_value))

    def mean(self, name: str) -> Means:
        groups = [self.cohort.x[name][members] for members in (self.cohort.arm, ~self.cohort.arm)]
        test = stats.ttest_ind(*groups, equal_var=bool(self.random.random() < 0.5))
        d = self.mean_digits
        return Means(
            where="Table 1",
            variable=name,
            label=name,
            n=self.sizes,
            mean=tuple(self.number(g.mean(), d) for g in groups),
            sd=tuple(self.number(g.std(ddof=1), d) for g in groups),
            p=self.p(float(test.pvalue)),
        )

    def count(self, name: str) -> Counts:
        column = self.cohort.x[name].astype(int)
        levels = {
            str(level): self._by_arm(column == level) for level in sorted(set(column.tolist()))
        }
        return Counts("Table 1", name, name, self.sizes, levels, p=self._p(list(levels.values())))

    def responses(self) -> tuple[tuple[Counts, ...], tuple[Rate, ...]]:
        evaluated = tuple(int(self.random.binomial(n, 0.95)) for n in self.sizes)
        names = ("CR", "PR", "SD", "PD")
        columns = [self.random.multinomial(n, [0.15, 0.45, 0.25, 0.15]) for n in evaluated]
        levels = {k: tuple(int(c[i]) for c in columns) for i, k in enumerate(names)}
        row = Counts("Table 3", "response", "Response", self.sizes, levels, evaluated, "Table 3")
        rates = []
        for label, some in (("ORR", names[:2]), ("DCR", names[:3])):
            yes = [sum(levels[k][i] for k in some) for i in (0, 1)]
            table = np.array([yes, np.subtract(evaluated, yes)])
            if min(table.sum(axis=1)) == 0:
                continue
            test = stats.chi2_contingency(table, correction=bool(self.random.random() < 0.5))
            percent = tuple(
                self.number(100 * a / n, self.percents) for a, n in zip(yes, evaluated, strict=True)
            )
            p, chi2 = self.p(float(test.pvalue)), self.number(float(test.statistic), 3)
            rates.append(Rate("Table 3", "response", label, some, percent, chi2, p))
        return (row,), tuple(rates)

    def adverse(self) -> tuple[AdverseEvent, ...]:
        found = []
        for label, share in (("Fever", 0.35), ("Abscess", 0.01)):
            yes = tuple(int(self.random.binomial(n, share)) for n in self.sizes)
            no = [n - a for n, a in zip(self.sizes, yes, strict=True)]
            found.append(AdverseEvent("Table 4", label, self.sizes, yes, self._p([yes, no])))
        return tuple(found)

    def graded(self) -> tuple[GradedEvent, ...]:
        total = int(self.random.binomial(self.sizes[0], 0.4))
        grades = tuple(int(n) for n in self.random.multinomial(total, [0.6, 0.3, 0.1]))
        return (GradedEvent("Table 5", "Rash", "drug", total, grades),)

    def statements(self) -> tuple[Statement, ...]:
        def significant(model: str) -> Statement:
            rows = self.fitted
            named = tuple(name for kind, name, _, _, p in rows if kind == model and p < 0.05)
            return Statement("Text", "significant", outcome="os", model=model, variables=named)

        return (
            Statement("Text", "software", value="SPSS 26" if self.spss else "R 4.3"),
            Statement("Text", "threshold", value="0.05"),
            Statement("Text", "analysis", value="Cox regression", outcome="os"),
            Statement("Abstract", "analysis", value="a Cox model", outcome="os"),
            Statement("Text", "highest_grade", value="3", arm="drug"),
            Statement("Text", "eligible", variable="age", lower=Printed("18"), upper=Printed("80")),
            Statement("Text", "eligible", variable=ORDINAL, levels=("0", "1", "2")),
            significant("univariable"),
            significant("multivariable"),
        )

    def _by_arm(self, has: Array) -> tuple[int, int]:
        return int(has[self.cohort.arm].sum()), int(has[~self.cohort.arm].sum())

    def _p(self, rows: Sequence[Sequence[int]]) -> Printed:
        table = np.array(rows)
        if (table.sum(axis=1) == 0).any():
            return self.p(1.0)
        kind = self.random.integers(3)
        if kind == 0 and table.shape == (2, 2):
            return self.p(float(stats.fisher_exact(table)[1]))
        return self.p(float(stats.chi2_contingency(table, correction=kind == 1)[1]))
