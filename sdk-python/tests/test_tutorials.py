"""The tutorials, typed as printed: every `sh` block, in order, in one shell, and files where the page says so.

Blocks marked `sh cloud` need an account, and `sh dev` is what the fixture is.
"""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BINARY, ROOT, Dev

BIN = Path(sys.executable).parent
TUTORIALS = ROOT / "docs" / "tutorials"
BLOCK = re.compile(r"^```(?P<info>[^\n]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
RESULTS = {
    "first-lambda.md": ['"hello":"Ada"', "it is dead: trying again would not help"],
    "first-cloud-run.md": ['"made":"cat.png@200"'],
}


def steps(page: Path) -> str:
    """The page as one script."""
    lines = ["set -eu"]
    for block in BLOCK.finditer(page.read_text()):
        language, _, name = block["info"].partition(" ")
        if (language, name) == ("sh", ""):
            lines.append(block["text"])
        elif language == "python" and name:
            lines.append(f"cat > {name} <<'END'\n{block['text']}END\n")
        else:
            assert block["info"] in ("sh cloud", "sh dev", "json"), f"{page}: what is {block['info']}?"
    return "\n".join(lines)


@pytest.mark.parametrize("name", sorted(path.name for path in TUTORIALS.glob("*.md")))
def test_a_tutorial_works_as_printed(name: str, dev: Dev, tmp_path: Path) -> None:
    """But for the port, and without the environment: the one that runs the tests has the same in it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    script = steps(TUTORIALS / name).replace("9000", str(port))
    script, environments = re.subn(r"^(python3 -m venv|pip install) .*$", "true", script, flags=re.MULTILINE)
    assert environments == 2, "the page makes an environment and installs into it"
    (tmp_path / "sdk-python").symlink_to(ROOT / "sdk-python")
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "debug").symlink_to(BINARY.parent)
    # A function that does not come up would be waited for without end.
    done = subprocess.run(
        ["timeout", "60", "bash", "-c", f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "POSTHASTE_DATA_DIR": str(dev.home)},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    for result in RESULTS[name]:
        assert result in done.stdout, f"{result} is not in\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("name", sorted(path.name for path in TUTORIALS.glob("*.md")))
def test_a_tutorials_handler_has_at_most_fifteen_lines(name: str) -> None:
    files = [block["text"] for block in BLOCK.finditer((TUTORIALS / name).read_text()) if block["info"].startswith("python ")]
    assert files and all(len(text.splitlines()) <= 15 for text in files)
