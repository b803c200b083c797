"""Time in the embedded organisation: whole seconds since the start of the period, working hours, weekdays and zones."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from features.synthetic.parameters import Parameters

DAY = 86_400


def midnight(day: date) -> datetime:
    """00:00 UTC of a day."""
    return datetime.combine(day, time(), tzinfo=UTC)


def day_weights(parameters: Parameters) -> np.ndarray:
    """float[n_days]: how likely each day of the period is for learning (weekends and quiet months are low)."""
    period, activity = parameters.period, parameters.activity
    days = [period.start + timedelta(days=i) for i in range(period.days)]
    weekend = 5 * activity.weekend_share / max(2 * (1 - activity.weekend_share), 1e-9)
    shape = (1.05, 1.15, 1.1, 1.0, 0.7, weekend, weekend)
    return np.array([shape[d.weekday()] * (activity.quiet_factor if d.month in activity.quiet_months else 1) for d in days])


def zone_offsets(zones: Sequence[str], parameters: Parameters) -> np.ndarray:
    """int[n_zones, n_days]: seconds east of UTC at noon of each day."""
    noons = [midnight(parameters.period.start) + timedelta(days=i, hours=12) for i in range(parameters.period.days)]
    return np.array([[int(_offset(ZoneInfo(zone), noon)) for noon in noons] for zone in zones])


def _offset(zone: ZoneInfo, at: datetime) -> float:
    found = at.astimezone(zone).utcoffset()
    return found.total_seconds() if found is not None else 0.0


def local_clock(n: int, evening_share: float, rng: np.random.Generator) -> np.ndarray:
    """int[n]: seconds after local midnight: a morning and an afternoon peak, some evenings."""
    morning, afternoon = rng.normal(10.2, 0.9, n), rng.normal(14.6, 1.2, n)
    hours = np.where(rng.random(n) < 0.5, morning, afternoon)
    hours = np.where(rng.random(n) < evening_share, rng.normal(20.0, 1.0, n), hours)
    return (np.clip(hours, 6.0, 23.0) * 3600).astype(np.int64)


def on_workday(at: np.ndarray, start: date) -> np.ndarray:
    """The same clock time, moved from Saturday to Monday and from Sunday to Tuesday."""
    weekday = (at // DAY + start.weekday()) % 7
    return np.asarray(at + np.where(weekday >= 5, 2, 0) * DAY)
