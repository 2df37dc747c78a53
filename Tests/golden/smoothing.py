#!/usr/bin/env python3
"""What statsmodels makes of the series that ForecastingTests smooth: `make golden-forecasts` writes smoothing.json.

One-step expectations, forecasts and final components come from statsmodels.tsa.holtwinters with given
parameters and components to begin with; the least sum of squares from its own search; how the variance of the
error grows with the horizon from statsmodels.tsa.exponential_smoothing.ets, which states it in closed form.
"""
import json
import math
import sys

import numpy
import pandas
import statsmodels
from statsmodels.tsa.exponential_smoothing.ets import ETSModel
from statsmodels.tsa.holtwinters import ExponentialSmoothing

HORIZON = 30


def series(seed, length, trend=0.0, season=0, amplitude=0.0, noise=1.0):
    random = numpy.random.default_rng(seed)
    steps = numpy.arange(length)
    values = 50 + trend * steps + noise * random.standard_normal(length)
    if season:
        values += amplitude * numpy.sin(2 * math.pi * steps / season)
    return numpy.round(values, 6)


CASES = [
    # name, values, α, β, φ, γ, season
    ("simple", series(1, 60, noise=3), 0.3, None, None, None, 0),
    ("simple, nearly naive", series(2, 40, noise=3), 0.95, None, None, None, 0),
    ("holt", series(3, 80, trend=0.7), 0.5, 0.1, None, None, 0),
    ("holt, damped", series(4, 80, trend=-0.4, noise=2), 0.4, 0.2, 0.9, None, 0),
    ("holt-winters", series(5, 120, trend=0.2, season=12, amplitude=9), 0.3, 0.05, None, 0.2, 12),
    ("holt-winters of a day", series(6, 24 * 7, trend=0.05, season=24, amplitude=20, noise=4),
     0.2, 0.02, None, 0.1, 24),
]


def variance_factors(values, alpha, beta, phi, gamma, season):
    model = ETSModel(pandas.Series(values), error="add", trend="add" if beta is not None else None, damped_trend=phi is not None,
                     seasonal="add" if season else None, seasonal_periods=season or None)
    parameters = {"smoothing_level": alpha, "smoothing_trend": (beta or 0) * alpha, "smoothing_seasonal": gamma,
                  "damping_trend": phi}
    given = [parameters[name] if name in parameters else 0.0 for name in model.param_names]
    result = model.smooth(given)
    prediction = result.get_prediction(start=len(values), end=len(values) + HORIZON - 1)
    variance = numpy.asarray(prediction.forecast_variance)
    return (variance / variance[0]).tolist()


def case(name, values, alpha, beta, phi, gamma, season):
    level, trend = float(values[0]) - 0.5, 0.25 if beta is not None else None
    seasons = [round(math.cos(2 * math.pi * i / season), 6) for i in range(season)]
    model = ExponentialSmoothing(
        values, trend="add" if beta is not None else None, damped_trend=phi is not None,
        seasonal="add" if season else None, seasonal_periods=season or None, initialization_method="known",
        initial_level=level, initial_trend=trend, initial_seasonal=seasons or None)
    fixed = model.fit(smoothing_level=alpha, smoothing_trend=beta, damping_trend=phi, smoothing_seasonal=gamma,
                      optimized=False)
    searched = model.fit(optimized=True)
    forecasts = [float(value) for value in fixed.forecast(HORIZON)]
    if season:
        # There statsmodels takes the season's value from before the last observation.
        forecasts = [None if (step + 1) % season == 0 else value for step, value in enumerate(forecasts)]
    return {
        "name": name, "season": season, "isDamped": phi is not None, "hasTrend": beta is not None,
        "level": alpha, "trend": beta or 0, "damping": phi or 1, "gamma": gamma or 0,
        "startLevel": level, "startTrend": trend or 0, "startSeasons": seasons,
        "values": values.tolist(), "expected": [float(value) for value in fixed.fittedvalues],
        "forecasts": forecasts, "varianceFactors": variance_factors(values, alpha, beta, phi, gamma, season),
        "squaredErrors": float(fixed.sse), "leastSquaredErrors": float(searched.sse),
    }


json.dump({"statsmodels": statsmodels.__version__, "cases": [case(*arguments) for arguments in CASES]},
          sys.stdout, indent=1)
print()
