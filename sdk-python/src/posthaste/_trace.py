"""The trace that a new job belongs to."""

from __future__ import annotations

import sys
from typing import Any


def traceparent() -> str | None:
    """Write OpenTelemetry's current span in W3C form; `None` where there is none."""
    # A program that never imported OpenTelemetry has no span, and pays nothing here.
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
