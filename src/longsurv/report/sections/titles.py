"""The sections of the report in their order, by id: what stands above each."""

TITLES = {
    "answer": "The short answer",
    "cohort": "The cohort",
    "simple": "Simple comparisons",
    "markers": "Markers",
    "mortality": "Mortality",
    "joint": "Markers and outcome together",
    "explorer": "Another prior",
    "comparison": "The two answers compared",
    "checks": "Can the fits be trusted?",
    "methods": "Methods",
    "guidelines": "Reporting guidelines",
}
