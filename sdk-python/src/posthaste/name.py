"""Names, of kinds and of waits: the rule of the server, asked where a name is written."""

from __future__ import annotations

import re

NAME_RULE = "must be 1 to 200 letters, digits and _ - . : /, the first a letter or digit"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,199}")


def is_name(text: str) -> bool:
    """Whether it can name a kind, a queue or a wait."""
    return _NAME.fullmatch(text) is not None
