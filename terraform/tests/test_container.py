"""The image's file, without a container: linted, and its build commands run on this checkout."""

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, TARGET, TOOLS, run

CONTAINERFILE = (ROOT / "Containerfile").read_text()
BUILD, FINAL = re.split(r"^FROM (?=gcr)", CONTAINERFILE, flags=re.M)
COMMANDS = re.findall(r"^RUN (.*)$", BUILD, re.M)
WHOLE = os.environ.get("POSTHASTE_IMAGE_CHECK") == "1"


def test_hadolint_and_checkov_have_nothing_to_say(tmp_path: Path) -> None:
    run(TOOLS / "hadolint", ROOT / "Containerfile")
    shutil.copy(ROOT / "Containerfile", tmp_path / "Dockerfile")  # the name that checkov looks for
    said = run(TOOLS / "checkov", "--skip-download", "-d", tmp_path, "--framework", "dockerfile", "--compact").stdout
    assert "Failed checks: 0" in said and "Passed checks: 0" not in said, said


def test_the_image_is_nobodys_and_has_no_shell() -> None:
    assert "distroless" in FINAL and re.search(r"^USER 65532:65532$", FINAL, re.M)
    assert "RUN" not in FINAL and "ADD " not in CONTAINERFILE
    assert re.search(r'^ENTRYPOINT \["/usr/local/bin/posthaste"\]$', FINAL, re.M)


def test_no_base_is_latest() -> None:
    bases = re.findall(r"^FROM (\S+)", CONTAINERFILE, re.M)
    assert len(bases) == 2 and all(re.search(r":[^:]+$", base) and not base.endswith(":latest") for base in bases)


def test_keys_state_and_history_stay_out_of_the_layers() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {"**/target", ".git", "**/.env", "**/*.pem", "**/*.key", "**/*.tfstate*", "**/*.tfvars"} <= set(ignored)


def test_the_build_commands_make_the_binary_that_is_copied(tmp_path: Path) -> None:
    """As they are with `make image-check`; else of the dev profile, since the real one takes some minutes."""
    if not shutil.which("cargo"):
        pytest.skip("NOT CHECKED: there is no cargo here, so the image's build commands were not run")
    source = re.search(r"--from=build /src/(target/dist/posthaste) /usr/local/bin/posthaste$", FINAL, re.M)
    assert source and COMMANDS and all("--profile dist" in command for command in COMMANDS)
    for command in COMMANDS:
        command = command if WHOLE else command.replace("--profile dist", "--profile dev")
        run(*shlex.split(command), cwd=ROOT, timeout=3600)
    binary = TARGET / (source[1] if WHOLE else source[1].replace("dist", "debug")).removeprefix("target/")
    assert run(binary, "--version").stdout.startswith("posthaste ")
    libraries = set(re.findall(r"^\s*(\S+?)\.so", run("ldd", binary).stdout, re.M))
    # What distroless/cc has.
    assert libraries <= {"linux-vdso", "libgcc_s", "libm", "libc", "libdl", "libpthread", "librt", "/lib64/ld-linux-x86-64", "/lib/ld-linux-aarch64"}
    if WHOLE:
        size = binary.stat().st_size
        print(f"{binary} has {size:,} bytes")
        assert size < 25_000_000
        assert "not stripped" not in run("file", binary).stdout
