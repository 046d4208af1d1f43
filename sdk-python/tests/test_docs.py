"""What the pages print is what runs: their Python as one module each, and the shell of the first steps."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import BINARY, ROOT, Dev
from serving import BIN, SECRET, free_port, serving

from posthaste import Accepted, Cancel, Fail, Retire, Retry, Snooze, Throttle
from posthaste._http import Request, Transport
from posthaste.testing import Completed, Queue, run, sign

PAGES = {
    "readme": ROOT / "sdk-python" / "README.md",
    "functions": ROOT / "docs" / "how-to" / "functions-python.md",
    "testing": ROOT / "docs" / "how-to" / "test-handlers.md",
}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page].read_text(), re.MULTILINE | re.DOTALL)


def module(page: str) -> Any:
    """Run all Python of a page, from top to bottom, as one module."""
    made = ModuleType(f"page_{page}")
    sys.modules[made.__name__] = made
    for block in blocks(page, "python"):
        exec(compile(block, str(PAGES[page]), "exec"), made.__dict__)
    return made


def test_no_page_installs_what_somebody_else_may_publish() -> None:
    """The name `posthaste` is not ours on PyPI until the package is there."""
    asked = "git ls-files '*.md' '*.py' '*.txt' '*.toml' '*.tf' '*.yml'"
    files = subprocess.run(["bash", "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "sdk-python/README.md" in files.splitlines()
    wrong = re.compile(r"pip install\b[^\n`]*(?<![\w./-])posthaste(?![\w/-])")
    found = [name for name in files.splitlines() if wrong.search((ROOT / name).read_text(errors="replace"))]
    assert found == []


def test_the_readme_runs_as_printed() -> None:
    page = module("readme")
    assert len(blocks("readme", "python")[0].splitlines()) <= 15
    assert run(page.app, "send_receipt", {"order": 7, "email": "a@b"}).result == {"sent_to": "a@b"}
    assert page.job.state == "completed"
    assert run(page.app, "charge", {"cents": 0}).outcome == Fail(
        "nothing to charge", code="nothing_to_charge"
    )


def test_the_readme_passes_a_strict_type_checker(tmp_path: Path) -> None:
    page = tmp_path / "page.py"
    page.write_text("\n".join(blocks("readme", "python")))
    command = [sys.executable, "-m", "mypy", "--strict", page]
    done = subprocess.run(command, cwd=ROOT / "sdk-python", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


def test_the_page_on_functions_runs_as_printed() -> None:
    page = module("functions")
    assert run(page.app, "send_receipt", {"order": 7, "email": "a@b"}).result == {
        "sent_to": "a@b",
        "attempt": 1,
    }
    assert [run(page.app, "print", {"pages": pages}).outcome for pages in range(8)] == [
        Fail("no pages", code="no_pages"),
        Retry("the printer is busy", after=30),
        Snooze(60),
        Throttle(5),
        Cancel("withdrawn"),
        Retire("use print_v2"),
        Accepted(callback_timeout=3600),
        Completed({"printed": 7}),
    ]
    rows = run(page.app, "import", {"rows": ["a", "b", "c"]}, steps={"rows": 1})
    assert (rows.result, rows.steps, len(rows.said)) == (3, {"rows": 3}, 4)


def test_the_waits_and_the_worker_of_the_page_on_functions_do_what_it_says() -> None:
    page = module("functions")
    queue = Queue(page.app)
    paid, late = queue.enqueue("order", {"cents": 9}), queue.enqueue("order", {"cents": 9})
    queue.drain()
    paid.callback.resume({"by": "Ada"})
    queue.advance(86400)
    assert (paid.result, late.error) == ({"paid": 9, "by": "Ada"}, "nobody paid")


def test_the_check_without_the_package_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTHASTE_SIGNING_SECRET", SECRET)
    is_genuine = module("functions").is_genuine
    request = sign("k", secret=SECRET)
    assert is_genuine(request.headers, request.body)
    assert not is_genuine(request.headers, request.body + b" ")
    late = sign("k", secret=SECRET, sent_at=0)
    assert not is_genuine(late.headers, late.body)


@pytest.mark.parametrize("server", ["fastapi", "flask", "wsgiref"])
def test_without_a_secret_it_starts_where_the_page_says_so_and_answers_401(server: str) -> None:
    with serving(server, POSTHASTE_SIGNING_SECRET="") as url:
        answer = Transport(url)(Request("POST", "/", {}, b"{}"), 10)
    assert (answer.status, answer.problem().code) == (401, "no_signing_secret")


def test_the_view_for_django_answers(tmp_path: Path) -> None:
    """In a process of its own: the settings of Django are for a process once."""
    (tmp_path / "page.py").write_text("\n".join(blocks("functions", "python")[:2]))
    script = f"""
        import django.conf, page
        from django.test import RequestFactory
        from posthaste.testing import sign
        django.conf.settings.configure(ALLOWED_HOSTS=["*"])
        request = sign("send_receipt", {{"order": 7, "email": "ada@example.com"}}, secret="{SECRET}")
        names = {{name: text for name, text in request.headers.items() if name != "content-type"}}
        post = RequestFactory().post("/", request.body, content_type="application/json", headers=names)
        answer = page.jobs(post)
        print(answer.status_code, answer.headers["posthaste-protocol"], answer.content.decode())
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    environment = {**os.environ, "POSTHASTE_SIGNING_SECRET": SECRET}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout == '200 1 {"sent_to":"ada@example.com","attempt":1}\n', done.stderr


def test_the_tests_of_the_page_on_tests_pass() -> None:
    page = module("testing")
    tests = {name: test for name, test in vars(page).items() if name.startswith("test_")}
    assert len(tests) == 9
    for test in tests.values():
        test()


def test_the_first_steps_of_the_page_on_functions_work(dev: Dev, tmp_path: Path) -> None:
    """Typed as printed, but for the port, and without installing what is here already."""
    port = str(free_port())
    (tmp_path / "main.py").write_text(blocks("functions", "python")[0])
    steps = blocks("functions", "sh")[0].replace("9001", port).replace("pip install", "true")
    ready = f"until curl -s http://127.0.0.1:{port} >/dev/null; do :; done\nposthaste enqueue"
    script = f"trap 'kill %1' EXIT\n{steps.replace('posthaste enqueue', ready)}"
    path = f"{BIN}:{BINARY.parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "POSTHASTE_DATA_DIR": str(dev.home)}
    done = subprocess.run(
        ["bash", "-eu", "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert '"sent_to":"ada@example.com"' in done.stdout
