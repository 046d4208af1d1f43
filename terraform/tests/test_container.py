"""The image's file, without a container: linted, its context looked at, and its build commands run."""

import gzip
import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, TARGET, TOOLS, run

CONTAINERFILE = (ROOT / "Containerfile").read_text()
BUILD, FINAL = re.split(r"^FROM (?=debian)", CONTAINERFILE, flags=re.M)
COMMANDS = re.findall(r"^RUN (.*)$", BUILD, re.M)
IGNORED = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
WHOLE = os.environ.get("POSTHASTE_IMAGE_CHECK") == "1"


def test_hadolint_and_checkov_have_nothing_to_say(tmp_path: Path) -> None:
    run(TOOLS / "hadolint", ROOT / "Containerfile")
    shutil.copy(ROOT / "Containerfile", tmp_path / "Dockerfile")  # the name that checkov looks for
    said = run(TOOLS / "checkov", "--skip-download", "-d", tmp_path, "--framework", "dockerfile", "--compact").stdout
    assert "Failed checks: 0" in said and "Passed checks: 0" not in said, said


def test_the_image_is_nobodys_and_nothing_is_installed() -> None:
    assert re.search(r"^FROM debian:bookworm-slim$", CONTAINERFILE, re.M) and re.search(r"^USER 65532:65532$", FINAL, re.M)
    assert not re.search(r"^(RUN|ADD|SHELL) ", FINAL, re.M) and not re.search(r"^ADD ", BUILD, re.M)
    assert re.search(r'^ENTRYPOINT \["/usr/local/bin/posthaste"\]$', FINAL, re.M)
    assert re.search(r"^COPY --from=build (\S+) \1$", FINAL, re.M)[1] == "/etc/ssl/certs/ca-certificates.crt"  # type: ignore[index]


def test_no_base_is_latest() -> None:
    bases = re.findall(r"^FROM (\S+)", CONTAINERFILE, re.M)
    assert len(bases) == 2 and all(re.search(r":[^:]+$", base) and not base.endswith(":latest") for base in bases)


def test_keys_state_and_history_stay_out_of_the_layers() -> None:
    assert not [line for line in IGNORED if line.startswith("!")], "a line that takes back another is not read by copied() below"
    assert {"**/target", ".git", "**/.env", "**/*.pem", "**/*.key", "**/*.tfstate*", "**/*.tfvars"} <= set(IGNORED)


def test_what_the_build_reads_is_in_its_context(tmp_path: Path) -> None:
    """Each source that the compiler says it read, each COPY, and each member of the workspace with its manifest."""
    context = copied(tmp_path / "context")
    for path in re.findall(r"^COPY (?!--from)(\S+) ", CONTAINERFILE, re.M):
        assert (context / path).exists(), f".dockerignore leaves no {path} to COPY"
    members = json.loads(re.findall(r"^members = (.*)$", (ROOT / "Cargo.toml").read_text(), re.M)[0])
    assert {"sdk-rust", "sdk-rust/derive"} <= set(members)
    for path in ["Cargo.toml", "Cargo.lock", *(f"{member}/Cargo.toml" for member in members)]:
        assert (context / path).is_file(), f".dockerignore leaves no {path}"
    if not shutil.which("cargo"):
        pytest.skip("NOT CHECKED: there is no cargo here, so it was not asked what it reads")
    # It refuses a target of a manifest whose file is not there.
    run("cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version=1", cwd=context)
    read = (TARGET / "debug" / "posthaste.d").read_text().split(": ", 1)[1].split()
    inside = [Path(path).relative_to(ROOT) for path in read if Path(path).is_relative_to(ROOT)]
    assert len(inside) > 100, f"{TARGET} was built from another checkout"
    missing = [str(path) for path in inside if not (context / path).exists()]
    assert not missing, f".dockerignore takes away what the build reads: {missing}"


@pytest.mark.parametrize("line", ["sdk-rust/derive", "migrations", "**/*.sql", "Cargo.lock"])
def test_a_context_that_lacks_something_is_noticed(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("test_container.IGNORED", [*IGNORED, line])
    with pytest.raises(AssertionError, match="dockerignore"):
        test_what_the_build_reads_is_in_its_context(tmp_path)


def test_the_build_commands_make_the_binary_that_is_copied() -> None:
    """Here of the dev profile, since the real one takes some minutes."""
    if not shutil.which("cargo"):
        pytest.skip("NOT CHECKED: there is no cargo here, so the image's build commands were not run")
    build(ROOT, profile="dev", folder="debug")


@pytest.mark.skipif(not WHOLE, reason="NOT MEASURED: the image's binary was not built here. Its size, and that it is stripped, are checked by `make image-check`")
def test_the_binary_of_the_image_is_built_from_the_context_small_and_stripped() -> None:
    binary = build(copied(TARGET / "image-context"), profile="dist", folder="dist")
    size = binary.stat().st_size
    print(f"{binary} has {size:,} bytes, {len(gzip.compress(binary.read_bytes())):,} compressed")
    assert size < 25_000_000
    assert "not stripped" not in run("file", binary).stdout


def copied(to: Path) -> Path:
    """The checkout as the builder sees it: without what .dockerignore names."""
    shutil.rmtree(to, ignore_errors=True)
    ignored = [re.compile(regex(line)) for line in IGNORED]

    def dropped(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if any(one.fullmatch(str((Path(folder) / name).relative_to(ROOT))) for one in ignored)]

    return Path(shutil.copytree(ROOT, to, ignore=dropped, symlinks=True))


def regex(line: str) -> str:
    """A line of .dockerignore: `**/` is any folders, or none; `*` is anything within a name."""
    parts = {"**/": "(?:.*/)?", "*": "[^/]*"}
    return "".join(parts.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*)", line))


def build(folder_of_source: Path, profile: str, folder: str) -> Path:
    """Run the build's commands; the binary, which starts and needs no library that the base has not."""
    source = re.search(r"--from=build /src/(target/dist/posthaste) /usr/local/bin/posthaste$", FINAL, re.M)
    assert source and COMMANDS and all("--profile dist" in command for command in COMMANDS)
    for command in COMMANDS:
        command = command.replace("--profile dist", f"--profile {profile}")
        run(*shlex.split(command), cwd=folder_of_source, env={**os.environ, "CARGO_TARGET_DIR": str(TARGET)}, timeout=3600)
    binary = TARGET / folder / "posthaste"
    assert run(binary, "--version").stdout.startswith("posthaste ")
    libraries = set(re.findall(r"^\s*(\S+?)\.so", run("ldd", binary).stdout, re.M))
    # What debian:bookworm-slim has: libc6 and libgcc-s1.
    assert libraries <= {"linux-vdso", "libgcc_s", "libm", "libc", "libdl", "libpthread", "librt", "/lib64/ld-linux-x86-64", "/lib/ld-linux-aarch64"}
    return binary
