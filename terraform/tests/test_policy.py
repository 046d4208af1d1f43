"""What holds without terraform: layout, who lets the world in, arguments that exist, and checkov."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
import pytest
from conftest import EXAMPLES, MODULES, SCHEMAS, TERRAFORM, TOOLS, run

FOLDERS = [*MODULES.items(), *EXAMPLES.items()]
IDS = [str(folder.relative_to(TERRAFORM)) for _, folder in FOLDERS]
META = {"count", "for_each", "provider", "depends_on", "lifecycle", "dynamic", "provisioner", "connection"}


def parsed(folder: Path) -> dict[str, list[Any]]:
    """All of a folder's files as one document."""
    out: dict[str, list[Any]] = {}
    for path in sorted(folder.glob("*.tf")):
        with path.open() as file:
            for kind, blocks in hcl2.load(file).items():
                out.setdefault(kind, []).extend(blocks)
    return out


def resources(folder: Path, kind: str = "resource") -> Iterator[tuple[str, str, dict[str, Any]]]:
    for block in parsed(folder).get(kind, []):
        for type_, named in block.items():
            for name, body in named.items():
                yield type_, name, body


def one(value: Any) -> Any:
    """The parser puts values into lists of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


@pytest.mark.parametrize("folder", MODULES.values(), ids=MODULES)
def test_modules_have_the_standard_layout_and_files_of_one_screen_or_few(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert {"main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"} <= names
    assert all(len(path.read_text().splitlines()) <= 200 for path in folder.glob("*.tf"))


@pytest.mark.parametrize("folder", MODULES.values(), ids=MODULES)
def test_every_variable_and_output_is_described_and_in_the_readme(folder: Path) -> None:
    readme = (folder / "README.md").read_text()
    for kind in ("variable", "output"):
        for block in parsed(folder)[kind]:
            for name, body in block.items():
                assert body.get("description"), f"{name} has no description"
                assert kind == "output" or "type" in body, f"{name} has no type"
                assert f"`{name}`" in readme, f"{name} is not in the README"


def test_one_rule_lets_the_world_into_aws_and_it_leads_to_the_gateway() -> None:
    world = [
        (name, body)
        for type_, name, body in resources(MODULES["aws"])
        if type_ in ("aws_vpc_security_group_ingress_rule", "aws_security_group_rule", "aws_security_group")
        and re.search(r"0\.0\.0\.0/0|::/0", json.dumps(body, default=str))
    ]
    assert [name for name, _ in world] == ["world_to_gateway"]
    assert "gateway_lb" in str(world[0][1]["security_group_id"])
    assert not any("ingress" in body for type_, _, body in resources(MODULES["aws"]) if type_ == "aws_security_group")


def test_one_binding_lets_the_world_into_google_and_it_is_the_gateways() -> None:
    bodies = {name: json.dumps(body, default=str) for _, name, body in resources(MODULES["google"])}
    assert [name for name, body in bodies.items() if "allUsers" in body or "allAuthenticatedUsers" in body] == ["world_to_gateway"]
    assert "this[\\\"gateway\\\"]" in bodies["world_to_gateway"] or "this[\"gateway\"]" in bodies["world_to_gateway"]


@pytest.mark.parametrize(("provider", "folder"), FOLDERS, ids=IDS)
def test_every_argument_exists_and_every_required_one_is_there(provider: str, folder: Path) -> None:
    schema = json.loads(SCHEMAS[provider].read_text())
    for kind, key in (("resource", "resources"), ("data", "data")):
        for type_, name, body in resources(folder, kind):
            assert type_ in schema[key], f"{type_} is not in {SCHEMAS[provider].name}: tests/schema/extract.py makes it anew"
            judge(f"{type_}.{name}", body, schema[key][type_])


def judge(where: str, body: dict[str, Any], schema: dict[str, Any]) -> None:
    dynamic = {name for block in body.get("dynamic", []) for name in block}
    given = {name for name in body if name not in META and not name.startswith("__")} | dynamic
    known = set(schema["attributes"]) | set(schema["blocks"])
    assert given <= known, f"{where}: {sorted(given - known)}"
    needed = {name for name, (_, flag) in schema["attributes"].items() if flag == "required"}
    needed |= {name for name, block in schema["blocks"].items() if block["required"]}
    assert needed <= given, f"{where} lacks {sorted(needed - given)}"
    for name, block in schema["blocks"].items():
        for inner in body.get(name, []):
            if isinstance(inner, dict):
                judge(f"{where}.{name}", inner, block)
        for block_body in (one(each[name]) for each in body.get("dynamic", []) if name in each):
            for content in block_body["content"]:
                judge(f"{where}.{name}", content, block)


@pytest.mark.parametrize(("provider", "folder"), FOLDERS, ids=IDS)
def test_no_output_tells_a_secret(provider: str, folder: Path) -> None:
    text = (folder / "outputs.tf").read_text() if (folder / "outputs.tf").exists() else ""
    assert not re.search(r"\b(password|secret_string|secret_data|random_password)\b", text.replace("db-", "")), text
    everything = "".join(path.read_text() for path in folder.glob("*.tf"))
    assert not re.search(r'^resource "(random_password|aws_secretsmanager_secret_version|google_secret_manager_secret_version)"', everything, re.M)


def test_checkov_passes_nine_of_ten_checks_and_each_exception_has_a_reason() -> None:
    command = (TOOLS / "checkov", "--skip-download", "--quiet", "-o", "json", "-d", TERRAFORM, "--framework", "terraform")
    report = json.loads(run(*command, expect=None).stdout)
    failed = [f"{one['check_id']} {one['resource']}: {one['check_name']}" for one in report["results"]["failed_checks"]]
    assert not failed, "\n".join(failed)
    counts = report["summary"]
    share = counts["passed"] / (counts["passed"] + counts["skipped"])
    print(f"checkov: {counts['passed']} passed, {counts['skipped']} excepted, {share:.1%}")
    assert share >= 0.9
    for path in TERRAFORM.rglob("*.tf"):
        for check, reason in re.findall(r"checkov:skip=(\w+)(.*)", path.read_text()):
            assert re.match(r":\S.{20,}\.$", reason), f"{path}: {check} is excepted without a reason"
