"""What a type checker says of the calls that producers and handlers write."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_what_is_given_and_answered_is_known_and_wrong_words_are_found() -> None:
    pages = [HERE / "typed_calls.py", HERE.parent / "typed_handlers.py"]
    command = [sys.executable, "-m", "mypy", "--strict", *pages]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
