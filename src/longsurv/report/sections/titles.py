"""The sections of the report in their order, by id: what stands above each."""

TITLES = {
    "answer": "The question and the short answer",
    "cohort": "The cohort",
    "simple": "Simple comparisons",
    "markers": "Markers: trajectories and difference in change",
    "mortality": "Mortality",
    "joint": "Markers and outcome together",
    "explorer": "Another prior",
    "comparison": "The two answers compared",
    "checks": "Can the fits be trusted?",
    "methods": "Methods and how to repeat this",
    "guidelines": "Reporting guidelines, item by item",
}
