"""What all tests of the infrastructure share: where things are, and how commands are run."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TERRAFORM = ROOT / "terraform"
MODULES = {"aws": TERRAFORM / "modules" / "aws", "google": TERRAFORM / "modules" / "gcp"}
EXAMPLES = {"aws": TERRAFORM / "examples" / "aws", "google": TERRAFORM / "examples" / "gcp"}
SCHEMAS = {provider: TERRAFORM / "tests" / "schema" / f"{provider}.json" for provider in MODULES}
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = TARGET / "debug" / "posthaste"
# The programs of the virtual environment that runs this.
TOOLS = Path(sys.executable).parent


def run(*command: object, expect: int | None = 0, **more: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. With `expect`, another exit code fails the test and shows what it said."""
    more.setdefault("timeout", 300)
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)  # type: ignore[call-overload]
    assert expect is None or done.returncode == expect, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
