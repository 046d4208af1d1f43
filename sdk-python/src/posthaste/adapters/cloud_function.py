"""Google's functions-framework, whose targets take a request of Flask; and so Flask itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..answer import Answer
from ..core import Core

FlaskView = Callable[[Any], tuple[bytes, int, dict[str, str]]]


def cloud_function(core: Core) -> FlaskView:
    """Make the target: a plain function, since the framework takes nothing else."""

    def target(request: Any) -> tuple[bytes, int, dict[str, str]]:
        """Answer a request of Flask."""
        call = core.open(request.method, dict(request.headers), request.get_data())
        answer = call if isinstance(call, Answer) else core.perform(call)
        return answer.body, answer.status, dict(answer.headers)

    return target
