"""What a posterior of a generalised mixed model says of its patients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.models import GLMM


@pytest.mark.slow
def test_predictions_have_the_slopes_of_their_patients() -> None:
    """On a clock that starts far from its mean, where the kernel's columns are centred ones."""
    rng = np.random.default_rng(3)
    patient, time = np.repeat(np.arange(40), 6), np.tile(np.arange(6), 40)
    own = rng.normal(size=(2, 40)) * [[0.6], [0.3]]
    mean = np.exp(0.5 + own[0][patient] + (0.1 + own[1][patient]) * (time - 2.5))
    data = pd.DataFrame({"patient": patient, "time": time + 5.0, "count": rng.poisson(mean)})
    spec = GLMM("count ~ time + (time | patient)", data, family="poisson", nodes=5)
    posterior = spec.sample(draws=80, tune=150, chains=2, seed=2)
    assert np.abs(posterior.data.effects - np.eye(2)).max() > 1.0
    effects = posterior.ranef().pivot(index="patient", columns="effect", values="estimate")
    effects = effects.loc[data["patient"]]
    expected = effects["Intercept"].to_numpy() + effects["time"].to_numpy() * data["time"]
    whole = posterior.predict(by_patient=True)["estimate"]
    added = whole.to_numpy() - posterior.predict()["estimate"].to_numpy()
    np.testing.assert_allclose(added, expected, atol=0.25)
