"""Named priors for a treatment's effect."""

from __future__ import annotations

import math
from collections.abc import Mapping

from longsurv.priors.families import Normal

# An effect of two thirds with a 15 % chance of none or the opposite: SD = log(1.5) / 1.036.
_ENTHUSIASM = Normal(-math.log(1.5), math.log(1.5) / 1.0364334)

TREATMENT: Mapping[str, Normal] = {
    "flat-ish": Normal(0.0, 5.0),
    "weak": Normal(0.0, 1.0),
    "sceptical": Normal(0.0, 0.355),
    "enthusiastic": _ENTHUSIASM,
    "pessimistic": Normal(-_ENTHUSIASM.mean, _ENTHUSIASM.sd),
}
"""Named priors for a treatment's log hazard ratio or log odds ratio.

"sceptical" puts 95 % of its mass between ratios of 0.5 and 2; "enthusiastic" is centred at 2/3 and
leaves 15 % to harm; "pessimistic" is its mirror image.
"""
