"""All families: the rows of both tables."""

from __future__ import annotations

from invariance.families_cohort import COHORT
from invariance.families_groups import GROUPS
from invariance.families_imputed import IMPUTED
from invariance.families_mixed import MIXED
from invariance.families_survival import SURVIVAL
from invariance.families_trials import TRIALS
from invariance.families_variants import VARIANTS
from invariance.families_windows import WINDOWS

FAMILIES = (*MIXED, *IMPUTED, *SURVIVAL, *WINDOWS, *VARIANTS, *GROUPS, *COHORT, *TRIALS)
NAMED = {family.name: family for family in FAMILIES}
assert len(NAMED) == len(FAMILIES)
