"""What a type checker says of the calls that producers write."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_ids_are_int_or_awaited_by_the_kind_of_connection_and_wrong_words_are_found() -> None:
    command = [sys.executable, "-m", "mypy", "--strict", HERE / "typed_calls.py"]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
