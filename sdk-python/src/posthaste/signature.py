"""Signatures of dispatches: Standard Webhooks, HMAC-SHA256 over `id.timestamp.body`."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Sequence

from .errors import ConfigurationError, SignatureError

TOLERANCE_S = 300
_PREFIX = "whsec_"
_MAX_ENTRIES = 32


class Secret:
    """A signing secret: `whsec_` and the base64 of 24 to 64 bytes. Prints as `[REDACTED]`."""

    __slots__ = ("_key",)

    def __init__(self, text: str) -> None:
        """Read the text that `posthaste endpoint put` printed. Raises `ConfigurationError`, without it."""
        if not text.startswith(_PREFIX):
            raise ConfigurationError("a signing secret must begin with whsec_")
        try:
            self._key = base64.b64decode(text[len(_PREFIX) :], validate=True)
        except (binascii.Error, ValueError):
            raise ConfigurationError("a signing secret must be whsec_ and base64") from None
        if not 24 <= len(self._key) <= 64:
            raise ConfigurationError("a signing secret must have 24 to 64 bytes")

    def __repr__(self) -> str:
        """Never show the secret."""
        return "Secret([REDACTED])"

    def tag(self, message_id: str, timestamp: str, body: bytes) -> bytes:
        """Sign a message: the entry for `webhook-signature`."""
        mac = hmac.digest(
            self._key, f"{message_id}.{timestamp}.".encode(errors="surrogatepass") + body, "sha256"
        )
        return b"v1," + base64.b64encode(mac)


def parse_secrets(given: str | Iterable[str]) -> tuple[Secret, ...]:
    """Read one or several secrets; a text may hold several, separated by commas or spaces."""
    texts = [given] if isinstance(given, str) else given
    return tuple(Secret(text) for many in texts for text in re.split(r"[,\s]+", many) if text)


def sign(secrets: Sequence[Secret], message_id: str, timestamp_unix: int, body: bytes) -> str:
    """Write `webhook-signature`: one entry for each secret."""
    return b" ".join(secret.tag(message_id, str(timestamp_unix), body) for secret in secrets).decode()


def verify(
    secrets: Sequence[Secret],
    message_id: str,
    timestamp: str,
    signature: str,
    body: bytes,
    *,
    now_unix: float,
    tolerance_s: int = TOLERANCE_S,
) -> None:
    """Verify the three `webhook-*` headers over the body as it came. Raises `SignatureError`.

    One entry that fits one secret is enough. Comparisons take the same time whatever differs.
    """
    if not re.fullmatch(r"0|[1-9][0-9]{0,15}", timestamp, re.ASCII):
        raise SignatureError("timestamp")
    age = int(now_unix) - int(timestamp)
    if age > tolerance_s:
        raise SignatureError("too_old")
    if age < -tolerance_s:
        raise SignatureError("too_new")
    # No server gives lone surrogates, but events of Lambda can hold them.
    entries = [
        entry.encode(errors="surrogatepass") for entry in signature.split(" ") if entry.startswith("v1,")
    ][:_MAX_ENTRIES]
    tags = [secret.tag(message_id, timestamp, body) for secret in secrets]
    matches = [hmac.compare_digest(tag, entry) for tag in tags for entry in entries]
    if not any(matches):
        raise SignatureError("no_match")
