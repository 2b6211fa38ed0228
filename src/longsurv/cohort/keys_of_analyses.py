"""The keys of the study file that say what is done with the data."""

from __future__ import annotations

from longsurv.cohort.key import Key
from longsurv.cohort.kinds import (
    COUNT,
    FLAG,
    NUMBER,
    PAIR,
    SEED,
    TEXT,
    TEXTS,
    choice,
    one_of,
)

ANALYSIS_TABLES: dict[str, dict[str, Key]] = {
    "models": {
        "trajectory": Key(
            TEXT,
            'Of each marker: the right-hand side of a formula, e.g. "phase * treatment + (1 | '
            'patient)".',
            default="the groups over the phases, or over time",
        ),
        "residual_by": Key(
            TEXT,
            "Column whose groups differ in how much their measurements scatter: each has a residual"
            " standard deviation of its own in the markers' models, e.g. the treatment.",
            default="one for all",
        ),
        "death_in_markers": Key(
            one_of("while alive", "worst"),
            "What the report says first of a marker of which some patients died before it could be"
            " measured: how it moved while patients were alive, or who fares better with death as"
            " the worst outcome of all. The other stands beside it.",
            default='"while alive"',
        ),
        "beyond_limit": Key(
            one_of("censored", "at the limit"),
            "What a value beyond a limit of detection counts as in the markers' models: as lying"
            " beyond the limit, or as if the limit had been measured. The other stands beside it.",
            default='"censored"',
        ),
        "least_category": Key(
            COUNT,
            "Of scores with a cut-off: a category with fewer measurements is merged with its rarer"
            " neighbour in the ordinal model. The report says which, and has no mean score then.",
            default="none is merged",
        ),
        "mortality": Key(TEXT, "Of the hazard of the event.", default="the treatment"),
        "compare_arms": Key(
            one_of("reference", "pairwise"),
            "Of several treatment groups, which are compared in the event: every other group with"
            " the reference, or every group with every earlier one. Markers are compared with the"
            " reference.",
            default='"reference"',
        ),
        "joint": Key(
            TEXTS, "Markers to be modelled together with the outcome, each in its own joint model."
        ),
        "joint_trajectory": Key(
            TEXT,
            "Of a marker in its joint model, in the measurement time.",
            default="the groups over time",
        ),
    },
    "target_trial": {
        "begun": Key(
            TEXT,
            "Column of the patients with the time at which treatment began, from time zero; empty"
            " if it never did.",
            required=True,
        ),
        "grace": Key(NUMBER, "The strategies are: begin by this time, and do not.", required=True),
        "adjust": Key(TEXT, "Covariates known at time zero, as a formula.", default="none"),
        "markers": Key(TEXTS, "Markers on whose last value beginning may depend.", default="none"),
        "eligible": Key(TEXT, "Column that is true of who is eligible.", default="everybody"),
    },
    "sampling": {
        "draws": Key(COUNT, "Posterior draws of a chain.", default="1000"),
        "chains": Key(COUNT, "Chains.", default="4"),
        "seed": Key(SEED, "Of the random numbers.", default="1"),
    },
    "report": {
        "show_patients": Key(FLAG, "Whether the report may show single patients.", default="false"),
        "style": Key(
            one_of("plain", "nejm", "jama"),
            "How the table of patients at baseline is written: as the journals write dashes, signs"
            " and percentages, or plainly.",
            default='"plain"',
        ),
    },
}

PRIOR_KEYS: dict[str, Key] = {
    "ratio": Key(NUMBER, "The published ratio of treatment against reference.", required=True),
    "interval": Key(PAIR, "Its 95 % interval.", required=True),
    "source": Key(TEXT, "Where these numbers are from.", required=True),
    "outcome": Key(
        choice("hazard_ratio", "odds_ratio", "risk_ratio"), "Of what.", default='"hazard_ratio"'
    ),
    "baseline_risk": Key(
        NUMBER,
        "Risk of the reference group by the horizon, at which an odds or a risk ratio is made a"
        " hazard ratio; they need it.",
    ),
    "robust": Key(
        NUMBER,
        "Probability that it does not apply to this study: so much of the prior is Normal(0, 1).",
        default="0.2",
    ),
}
