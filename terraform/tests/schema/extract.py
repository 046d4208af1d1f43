#!/usr/bin/env python3
"""Extracts the schemas of the resources that the modules use, so that they can be checked without a provider.

    npm pack @cdktf/provider-aws@21.22.1 && tar xzf cdktf-provider-aws-21.22.1.tgz
    ./extract.py aws package ../../modules/aws ../../examples/aws > aws.json

The packages are generated from the providers' own schemas, and say of each attribute what it is. Run by hand, when a module
uses something new; what comes out is committed.
"""

import json
import re
import sys
from pathlib import Path

ATTRIBUTE = re.compile(r"get (?P<camel>\w+)\(\) \{\n(?:\s+//.*\n)*\s+return (?P<getter>.*Attribute\('(?P<name>\w+)'\).*)")
NESTED = re.compile(r"// (?P<name>\w+) - computed: \w+, optional: \w+, required: (?P<required>\w+)\n\s+this\._\w+ = new (?P<class>\w+)\(this")
WRITTEN = re.compile(r"\b(?P<name>\w+): \{\n\s+value: .*\n\s+isBlock: \w+,\n\s+type: \"(?P<type>\w+)\",\n\s+storageClassType: \"(?P<storage>\w+)\"")
PRIMITIVES = {"String": "string", "Number": "number", "Boolean": "bool"}


def main(provider: str, package: Path, *modules: Path) -> None:
    text = "".join(path.read_text() for module in modules for path in module.glob("*.tf"))
    kinds = {"resources": "resource", "data": "data"}
    used = {key: sorted(set(re.findall(rf'^{word} "({provider}_\w+)"', text, re.M))) for key, word in kinds.items()}
    schema = {"provider": provider, "version": re.search(r"providerVersion: '([\d.]+)'", source(package, "provider"))[1]}
    schema["config"] = configuration(source(package, "provider"))
    for key, prefix in (("resources", ""), ("data", f"data-{provider}-")):
        schema[key] = {name: resource(package, prefix + name.removeprefix(f"{provider}_").replace("_", "-")) for name in used[key]}
    json.dump(schema, sys.stdout, separators=(",", ":"), sort_keys=True)
    print()


def source(package: Path, folder: str) -> str:
    """The code of a resource; a name that could be taken for another thing has its provider before it."""
    lib = package / "lib"
    found = next((lib / name for name in (folder, f"google-{folder}") if (lib / name).exists()), None)
    assert found, f"{folder} is not in {package}"
    return (found / "index.js").read_text()


def configuration(code: str) -> dict:
    """The provider's own block: what is written in one line there."""
    simple = {m["name"]: [{"boolean": "bool"}.get(m["storage"], m["storage"]), "optional"] for m in WRITTEN.finditer(code) if m["type"] == "simple"}
    return {"attributes": simple, "blocks": {}}


def resource(package: Path, folder: str) -> dict:
    code = source(package, folder)
    classes = dict(re.findall(r"^class (\w+) extends .*?\{\n(.*?)^\}", code, re.M | re.S))
    top = re.findall(r"^class (\w+) extends cdktf\.Terraform(?:Resource|DataSource|Provider)", code, re.M)[0]
    writers = {name.lower(): body for name, body in re.findall(r"^function (\w+?)ToHclTerraform\(.*?\{\n(.*?)^\}", code, re.M | re.S)}
    return block(top, classes, writers)


def block(name: str, classes: dict, writers: dict) -> dict:
    """A class as a block. Attributes are [type, flag]; nested blocks tell how often they may stand there."""
    body = classes[name]
    base = name.removesuffix("OutputReference")
    written = {m["name"]: m for m in WRITTEN.finditer(writers.get(base.lower(), body))}
    out: dict = {"attributes": {}, "blocks": {}}
    for m in ATTRIBUTE.finditer(body):
        camel = m["camel"]
        settable = f" set {camel}(" in body
        flag = "computed" if not settable else "optional" if f" reset{camel[0].upper()}{camel[1:]}()" in body else "required"
        out["attributes"][m["name"]] = [attribute_type(m["getter"], written.get(m["name"])), flag]
    for m in NESTED.finditer(body):
        single = m["class"].endswith("OutputReference")
        inner = block(m["class"] if single else m["class"].removesuffix("List") + "OutputReference", classes, writers)
        if m["name"] not in written:
            fields = {key: value[0] for key, value in inner["attributes"].items()}
            out["attributes"][m["name"]] = [["list", ["object", fields]], "computed"]
            continue
        nesting = {"list": "list", "set": "set", "struct": "single"}[written[m["name"]]["type"]]
        most = 1 if single and nesting != "single" else 0
        out["blocks"][m["name"]] = {"nesting": nesting, "max": most, "required": m["required"] == "true", **inner}
    return out


def attribute_type(getter: str, written: re.Match | None) -> object:
    kind = re.search(r"this\.get(String|Number|Boolean)(List|Map)?Attribute", getter)
    word = PRIMITIVES.get(kind[1], "string") if kind else "string"
    if written and written["type"] in ("list", "set", "map"):
        storage = written["storage"].removesuffix("List").removesuffix("Map")
        return [written["type"], {"number": "number", "boolean": "bool"}.get(storage, "string")]
    if kind and kind[2]:
        return [kind[2].lower(), word]
    if "getListAttribute" in getter:
        return ["list", "string"]
    return word


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(Path, sys.argv[3:]))
