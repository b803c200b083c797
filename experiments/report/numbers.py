"""A reading as JSON: the same as the page says, for machines."""

from dataclasses import asdict
from datetime import date
from typing import Any

from experiments.analysis import Reading
from experiments.comparisons import Comparison
from experiments.health import Health
from experiments.inference.estimates import Estimate, Inconclusive
from experiments.verdict import outcome, standing


def as_json(reading: Reading) -> dict[str, Any]:
    """`verdict, sentence, notes, health, metrics, trajectory, fading, segments, prices`; a number that is not known is null."""
    return {
        "name": reading.design.name,
        "design": reading.design.digest,
        "verdict": reading.verdict.short,
        "sentence": reading.verdict.sentence,
        "arm": reading.verdict.arm,
        "until": _day(reading.verdict.until),
        "began": _day(reading.began),
        "ended": _day(reading.ended),
        "horizon": _day(reading.horizon),
        "peeking": reading.design.peeking,
        "notes": list(reading.notes),
        "health": _health(reading.health),
        "metrics": [_metric(one, reading) for one in reading.comparisons],
        "trajectory": [{"day": _day(look.day), "arm": look.arm, **_estimate(look.found)} for look in reading.looks],
        "fading": [
            {"arm": one.arm, "later_less_earlier": _estimate(one.later), "days": [_estimate(day) for day in one.days]}
            for one in reading.fading
        ],
        "segments": [
            {
                "name": one.name,
                "arm": one.arm,
                "differ_p": one.differ_p,
                "hidden": one.hidden,
                "parts": [
                    {"value": part.value_of, "n": part.n, "alone": _estimate(part.alone)}
                    | {"estimate": part.value, "ci_low": part.low, "ci_high": part.high}
                    for part in one.parts
                ],
            }
            for one in reading.segments
        ],
        "prices": [asdict(one) for one in reading.prices],
    }


def _health(health: Health) -> dict[str, Any]:
    return {
        "passed": not health.failed,
        "sample_ratio_p": health.number("sample_ratio_p"),
        **{one.name: one.number for one in health.checks},
        "units": dict(health.units),
        "randomised": dict(health.randomised),
        "checks": [{"name": one.name, "passed": one.passed, "found": one.found} for one in health.checks],
    }


def _metric(one: Comparison, reading: Reading) -> dict[str, Any]:
    return {
        "name": one.name,
        "arm": one.arm,
        "role": one.measure.role,
        **_estimate(one.found),
        "relative": one.measure.relative,
        "adjusted_p": (reading.adjusted_p or {}).get((one.name, one.arm)),
        "direction": "up" if one.measure.up else "down",
        "outcome": _outcome(one),
        "chance_to_win": one.winning,
        "control_mean": None if one.control_sample is None else one.control_sample.mean,
        "arm_mean": None if one.arm_sample is None else one.arm_sample.mean,
        "variance_saved": one.saved,
        "fixed": _estimate(one.at_one_look),
        "always_valid": _estimate(one.at_any_look),
        "unadjusted": _estimate(one.unadjusted),
        "other_scale": {**_estimate(one.other), "relative": not one.measure.relative},
    }


def _outcome(one: Comparison) -> str | None:
    if one.measure.role == "guardrail":
        return standing(one)
    return None if isinstance(one.found, Inconclusive) else outcome(one.found, one.measure.bar, up=one.measure.up)


def _estimate(found: Estimate | Inconclusive) -> dict[str, Any]:
    if isinstance(found, Inconclusive):
        return {"estimate": None, "ci_low": None, "ci_high": None, "p_value": None, "reason": found.reason}
    return {"estimate": found.value, "ci_low": found.low, "ci_high": found.high, "p_value": found.p_value, "error": found.error}


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
