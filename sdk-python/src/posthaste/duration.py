"""Times as Python says them: seconds, or a `timedelta`."""

from __future__ import annotations

import math
from datetime import timedelta

Duration = float | timedelta
"""Seconds, as a number, or a `timedelta`."""


def seconds(duration: Duration) -> float:
    """How many seconds. Raises `ValueError` for what is negative or no number."""
    value = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    if not math.isfinite(value) or value < 0:
        raise ValueError("a duration must be a number of seconds, 0 or more")
    return value


def milliseconds(duration: Duration | None) -> int | None:
    """How many milliseconds, as the wire has them; None for none."""
    return None if duration is None else round(seconds(duration) * 1000)
