#!/usr/bin/env python3
"""What statsmodels makes of the series that ForecastingTests regress: `make golden-forecasts` writes the file.

Weights, variance, criterion and forecasts with their variance come from statsmodels.tsa.ar_model.AutoReg. Orders
are compared on the same values (hold_back), as its ar_select_order does, by the corrected Akaike criterion, which
is computed here from the criterion without correction.
"""
import json
import math
import sys

import numpy
import statsmodels
from statsmodels.tsa.ar_model import AutoReg

HORIZON = 30
ORDER_MAX = 12


def simulated(seed, length, constant, weights, noise):
    random = numpy.random.default_rng(seed)
    values = [constant / (1 - sum(weights))] * len(weights)
    for _ in range(length + 200):
        values.append(constant + sum(w * v for w, v in zip(weights, values[::-1])) + noise * random.standard_normal())
    return numpy.round(values[-length:], 6)


def seasonal(seed, length):
    random = numpy.random.default_rng(seed)
    steps = numpy.arange(length)
    return numpy.round(200 + 60 * numpy.sin(2 * math.pi * steps / 9) + 5 * random.standard_normal(length), 6)


CASES = [
    ("white noise", simulated(11, 120, 30, [0.0], 4)),
    ("first order", simulated(12, 90, 10, [0.8], 3)),
    ("second order", simulated(13, 200, 20, [1.2, -0.5], 5)),
    ("fifth order", simulated(14, 400, 5, [0.5, 0, 0, 0, 0.4], 2)),
    ("a season of nine", seasonal(15, 150)),
]


def corrected(result, order):
    count, parameters = result.nobs, order + 2
    akaike = count * (math.log(2 * math.pi * result.sigma2) + 1) + 2 * parameters
    return akaike + 2 * parameters * (parameters + 1) / (count - parameters - 1)


def fit(values, order, skipping=None):
    return AutoReg(values, lags=order, trend="c", hold_back=skipping).fit()


def case(name, values):
    criteria = [corrected(fit(values, order, ORDER_MAX), order) for order in range(ORDER_MAX + 1)]
    order = int(numpy.argmin(criteria))
    result = fit(values, order)
    prediction = result.get_prediction(start=len(values), end=len(values) + HORIZON - 1)
    return {
        "name": name, "values": values.tolist(), "criteria": criteria, "order": order,
        "weights": [float(value) for value in result.params], "variance": float(result.sigma2),
        "forecasts": [float(value) for value in prediction.predicted_mean],
        "variances": [float(value) for value in prediction.var_pred_mean],
    }


json.dump({"statsmodels": statsmodels.__version__, "cases": [case(*arguments) for arguments in CASES]},
          sys.stdout, indent=1)
print()
