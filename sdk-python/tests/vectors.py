"""The vectors that every implementation shares: tests/vectors of the repository."""

import json
from typing import Any, Literal

import pytest
from conftest import ROOT


def vectors(name: str, only: Literal["expect", "error"] | None = None) -> Any:
    """One test for each case of a file, `test_<file>[<case>]`: its name is the same in every language.

    `only` takes those of one kind: the errors of what an SDK writes are the server's, who reads it.
    """
    cases = json.loads((ROOT / "tests" / "vectors" / f"{name}.json").read_text())["cases"]
    taken = [case for case in cases if only is None or only in case]
    return pytest.mark.parametrize("case", taken, ids=[case["name"] for case in taken])
