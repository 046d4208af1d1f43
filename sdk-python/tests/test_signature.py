"""Signatures, and what is read as a secret."""

from typing import Any

import pytest
from vectors import vectors

from posthaste import ConfigurationError, SignatureError
from posthaste.signature import parse_secrets, sign, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@vectors("signature_sign")
def test_signature_sign(case: dict[str, Any]) -> None:
    given = case["given"]
    secrets = parse_secrets(given["secrets"])
    signed = sign(secrets, given["id"], given["timestamp"], given["body"].encode())
    assert signed == case["expect"]["signature"]


@vectors("signature_verify")
def test_signature_verify(case: dict[str, Any]) -> None:
    given = case["given"]

    def run() -> None:
        verify(
            parse_secrets(given["secrets"]),
            given["id"],
            given["timestamp"],
            given["signature"],
            given["body"].encode(),
            now_unix=given["now_unix"],
            tolerance_s=given["tolerance_s"],
        )

    if "expect" in case:
        run()
        return
    with pytest.raises(SignatureError) as error:
        run()
    assert error.value.reason == case["error"]


@pytest.mark.parametrize(
    "text", [f"{SECRET},{SECRET}", f"{SECRET} {SECRET}", f" {SECRET},\n{SECRET} ", [SECRET] * 2]
)
def test_several_secrets_are_read_from_one_text_or_from_many(text: Any) -> None:
    assert len(parse_secrets(text)) == 2


@pytest.mark.parametrize(
    "text", ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_AAAA", "whsec_!!!!", "whsec_" + "AAAA" * 30]
)
def test_what_is_no_secret_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_secrets(text)
    assert text not in str(error.value) or text == "whsec_"


def test_a_secret_is_never_printed() -> None:
    assert "MfKQ" not in repr(parse_secrets(SECRET))


@pytest.mark.parametrize(("message_id", "signature"), [("\udc80", "v1,AAAA"), ("msg", "v1,\udc80")])
def test_text_that_is_no_unicode_is_refused(message_id: str, signature: str) -> None:
    with pytest.raises(SignatureError, match="secret"):
        verify(parse_secrets(SECRET), message_id, "1", signature, b"", now_unix=1)
