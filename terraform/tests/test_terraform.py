"""The modules and examples under the real terraform, over the committed schemas."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import EXAMPLES, MODULES, SCHEMAS, TERRAFORM, run
from stub import providers

FOLDERS = [*MODULES.values(), *EXAMPLES.values()]
pytestmark = pytest.mark.skipif(
    not shutil.which("terraform"),
    reason="NOT CHECKED: there is no terraform here, so nothing was formatted, validated, planned or tested",
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a terraform that finds the stubs, and asks nobody else."""
    with providers(tmp_path_factory.mktemp("s"), *SCHEMAS.values()) as attach:
        yield {**os.environ, **attach, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}


def terraform(folder: Path, data: Path, environment: dict[str, str], *command: str, expect: int | None = 0) -> str:
    done = run("terraform", *command, cwd=folder, env={**environment, "TF_DATA_DIR": str(data)}, expect=expect)
    return done.stdout + done.stderr


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(TERRAFORM, tmp_path / "terraform"))


def test_every_file_is_formatted() -> None:
    run("terraform", "fmt", "-check", "-diff", "-recursive", TERRAFORM)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(TERRAFORM)))
def test_modules_and_examples_are_valid(folder: Path, tmp_path: Path, served: dict[str, str]) -> None:
    terraform(folder, tmp_path, served, "init", "-backend=false", "-input=false")
    assert "configuration is valid" in terraform(folder, tmp_path, served, "validate", "-no-color")


@pytest.mark.parametrize("folder", MODULES.values(), ids=MODULES)
def test_modules_keep_their_promises(folder: Path, tmp_path: Path, served: dict[str, str]) -> None:
    terraform(folder, tmp_path, served, "init", "-backend=false", "-input=false")
    promises = len(re.findall(r'^run "', (folder / "tests" / "promises.tftest.hcl").read_text(), re.M))
    said = terraform(folder, tmp_path, served, "test", "-no-color")
    assert promises >= 8 and f"{promises} passed, 0 failed" in said, said


BREAKS = [
    ("aws", "database.tf", "publicly_accessible    = false", "publicly_accessible    = true", "The database is public"),
    ("aws", "load_balancers.tf", "internal    = true", "internal    = false", "Another load balancer than the gateway's is public"),
    ("aws", "iam.tf", "Resource = sort(var.function_arns)", 'Resource = ["*"]', "A dispatcher may invoke other functions"),
    ("aws", "iam.tf", "Resource = roles", 'Resource = ["arn:aws:iam::210987654321:role/*"]', "may not assume the named role, or may assume others"),
    ("aws", "iam.tf", "if length(roles) > 0", "if false", "may not assume the named role, or may assume others"),
    ("aws", "tasks.tf", 'task == "migrate" ? {} : { healthCheck', 'contains(["migrate", "dispatcher"], task) ? {} : { healthCheck', "A service hangs and nobody notices"),
    ("gcp", "services.tf", 'port = local.api_port, ingress = "INGRESS_TRAFFIC_INTERNAL_ONLY", min = 1', 'port = local.api_port, ingress = "INGRESS_TRAFFIC_ALL", min = 1', "Another service than the gateway"),
    ("gcp", "database.tf", '"ENCRYPTED_ONLY"', '"ALLOW_UNENCRYPTED_AND_ENCRYPTED"', "without TLS"),
]


@pytest.mark.parametrize(("module", "file", "good", "bad", "says"), BREAKS)
def test_a_broken_promise_is_noticed(
    module: str, file: str, good: str, bad: str, says: str, copied: Path, tmp_path: Path, served: dict[str, str]
) -> None:
    folder = copied / "modules" / module
    text = (folder / file).read_text()
    assert good in text, f"{file} has no {good!r} to break"
    (folder / file).write_text(text.replace(good, bad, 1))
    terraform(folder, tmp_path / "data", served, "init", "-backend=false", "-input=false")
    said = terraform(folder, tmp_path / "data", served, "test", "-no-color", expect=1)
    assert says in said, said


def test_an_argument_that_does_not_exist_is_noticed(copied: Path, tmp_path: Path, served: dict[str, str]) -> None:
    folder = copied / "modules" / "aws"
    text = (folder / "database.tf").read_text()
    (folder / "database.tf").write_text(text.replace("storage_encrypted ", "storage_encryptd ", 1))
    terraform(folder, tmp_path / "data", served, "init", "-backend=false", "-input=false")
    assert "Unsupported argument" in terraform(folder, tmp_path / "data", served, "validate", "-no-color", expect=1)
