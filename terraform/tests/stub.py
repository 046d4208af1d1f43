"""Serves committed schemas to a real terraform as if they were the providers, so that modules are checked without them.

Terraform attaches to a running provider where TF_REATTACH_PROVIDERS names its socket. It then asks for the schema, and for
the judgement of each block: what a schema cannot say (which words an argument takes) is not judged here.
The few messages of its protocol (tfplugin6.proto) are written by hand.
"""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

NESTING = {"single": 1, "list": 2, "set": 3}


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: bytes | str | int) -> bytes:
    """A field of a message: a number, or bytes with their length before them."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def attribute(name: str, kind: Any, flag: str) -> bytes:
    # Which optional attributes the provider may give too, the packages do not tell: but an id it always gives.
    flags = {"required": field(4, 1), "optional": field(5, 1), "computed": field(6, 1)}[flag]
    flags += field(6, 1) if (name, flag) == ("id", "optional") else b""
    return field(1, name) + field(2, json.dumps(kind)) + flags


def nested(name: str, inner: dict[str, Any]) -> bytes:
    least = field(4, 1) if inner["required"] and inner["nesting"] != "single" else b""
    most = field(5, inner["max"]) if inner["max"] else b""
    return field(1, name) + field(2, block(inner)) + field(3, NESTING[inner["nesting"]]) + least + most


def block(schema: dict[str, Any]) -> bytes:
    attributes = [field(2, attribute(name, *spec)) for name, spec in schema["attributes"].items()]
    return b"".join([*attributes, *(field(3, nested(name, inner)) for name, inner in schema["blocks"].items())])


def entry(name: str, schema: dict[str, Any]) -> bytes:
    """An entry of the map of schemas."""
    return field(1, name) + field(2, field(2, block(schema)))


def answer(schema: dict[str, Any]) -> bytes:
    """The answer to GetProviderSchema."""
    resources = [field(2, entry(*one)) for one in schema["resources"].items()]
    data = [field(3, entry(*one)) for one in schema["data"].items()]
    return b"".join([field(1, field(2, block(schema["config"]))), *resources, *data])


class Provider(grpc.GenericRpcHandler):
    """Answers the schema; to everything else nothing, which means: no objection."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = answer(schema)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        service, method = details.method.removeprefix("/").split("/")
        if service != "tfplugin6.Provider" or method == "GetMetadata":
            return None
        body = self.schema if method == "GetProviderSchema" else b""
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: body)


@contextmanager
def providers(folder: Path, *schemas: Path) -> Iterator[dict[str, str]]:
    """Serve these schemas on sockets in a folder; what a terraform needs in its environment to find them."""
    servers, attach = [], {}
    for path in schemas:
        server = grpc.server(ThreadPoolExecutor(4), handlers=[Provider(json.loads(path.read_text()))], options=[("grpc.max_send_message_length", -1)])
        socket = folder / f"{path.stem}.sock"
        server.add_insecure_port(f"unix:{socket}")
        server.start()
        servers.append(server)
        attach[f"registry.terraform.io/hashicorp/{path.stem}"] = {
            "Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True,
            "Addr": {"Network": "unix", "String": str(socket)},
        }
    try:
        yield {"TF_REATTACH_PROVIDERS": json.dumps(attach)}
    finally:
        for server in servers:
            server.stop(None)
