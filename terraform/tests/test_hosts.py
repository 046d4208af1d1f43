"""No registry is named: where images come from is the user's choice. Names without a host are the builder's to look up."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, TERRAFORM

# Hosts that hold images or packages, and any image's name whose first part is a host: a dot or a port before the first slash.
REGISTRY = re.compile(
    r"\b(?:docker|gcr|ghcr|quay|azurecr|k8s|terraform|crates)\.io\b|\bpkg\.dev\b|\bpublic\.ecr\.|\.ecr\.|\bmcr\.microsoft\.|\bpypi\.org\b|\bnpmjs\."
    r"|(?<![/\w.@-])(?:[a-z0-9-]+\.)+[a-z]{2,}(?::[0-9]+)?/[a-z0-9._/-]+(?::[a-z]*[0-9v][\w.-]*|:latest|:stable|@sha256:)",
    re.I,
)
# The address by which terraform itself knows a provider.
PROVIDER = re.compile(r"\bregistry\.terraform\.io/hashicorp/")


def texts() -> Iterator[Path]:
    yield from (ROOT / "Containerfile", ROOT / ".dockerignore")
    for folder in (TERRAFORM, ROOT / "docs"):
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".tf", ".hcl", ".md", ".py", ".sh", ".txt", ".ini", ".json", ".tfvars", ".yaml", ".yml"}:
                if not {".terraform", "__pycache__", "schema"} & set(path.parts) and path != Path(__file__):
                    yield path


def test_no_registry_host_is_named() -> None:
    paths = list(texts())
    assert len(paths) > 50
    found = [f"{path.relative_to(ROOT)}: {match[0]}" for path in paths for match in REGISTRY.finditer(PROVIDER.sub("", path.read_text()))]
    assert not found, "\n".join(found)


# Put together here, so that this file names none either.
@pytest.mark.parametrize(
    "image",
    [".".join(("docker", "io/library/postgres:17")), ".".join(("gcr", "io/x/y")), ".".join(("public", "ecr", "aws/x/y:1")), "images.example.com/posthaste:0.1.0", "images.example.com:5000/posthaste:latest", "images.example.com/a/b@sha256:00"],
)
def test_a_host_would_be_noticed(image: str) -> None:
    assert REGISTRY.search(f'default = "{image}"') and REGISTRY.search(f"FROM {image} AS build")


def test_names_without_a_host_pass() -> None:
    for text in ("FROM debian:bookworm-slim", '"amazon/aws-otel-collector:v0.43.1"', '"$REGISTRY/posthaste:0.1.0"', "https://callbacks.example.com/v1/callbacks/42:1"):
        assert not REGISTRY.search(text), text
