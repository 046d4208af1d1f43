"""Recomputes what the dispatcher signs, with AWS's and Google's own libraries.

Reads one JSON question a line, and answers each with one JSON line. It is also Google, where a test needs tokens that
Google's library believes.
"""

import base64
import datetime
import json
import sys
import time

import google.auth.jwt
import google.auth.transport.requests
import google.oauth2.id_token
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


def certificate():
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "google")])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


CERTIFICATE = certificate()


def sigv4(method, url, headers, body, secret_key, token=None):
    """Whether botocore computes the signature that the request has, and what it covers."""
    scheme, _, parameters = headers["authorization"].partition(" ")
    parts = dict(part.strip().split("=", 1) for part in parameters.split(","))
    access_key, date, region, service, end = parts["Credential"].split("/")
    covered = parts["SignedHeaders"].split(";")
    body = base64.b64decode(body)
    request = AWSRequest(method, url, data=body, headers={name: headers[name] for name in covered if name != "host"})
    request.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(Credentials(access_key, secret_key, token), service, region)
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    uncovered = [name for name in headers if name.startswith("x-amz-") and name not in covered]
    return {
        "same": signer.signature(to_sign, request) == parts["Signature"],
        "scheme": scheme,
        "scope": [access_key, region, service, end],
        "today": headers["x-amz-date"].startswith(date),
        "host_covered": "host" in covered,
        "uncovered": uncovered,
    }


def id_token(audience, life=3600):
    """A token of Google for this audience."""
    now = int(time.time())
    claims = {"iss": "https://accounts.google.com", "sub": "1", "aud": audience, "iat": now, "exp": now + life}
    return google.auth.jwt.encode(crypt.RSASigner.from_string(PEM, key_id="k1"), claims).decode()


def certs():
    return {"k1": CERTIFICATE}


def service_account(token_uri):
    """The JSON key of an account."""
    email = "invoker@project.iam.gserviceaccount.com"
    key = {"type": "service_account", "client_email": email, "private_key_id": "k1", "private_key": PEM}
    return {**key, "token_uri": token_uri}


def verify_id_token(token, audience, certs_url):
    """What Google's library reads in a token that it believes."""
    transport = google.auth.transport.requests.Request()
    return google.oauth2.id_token.verify_token(token, transport, audience=audience, certs_url=certs_url)


def verify_assertion(assertion, audience):
    return google.auth.jwt.decode(assertion, certs=certs(), audience=audience)


def answer(question):
    ask = globals()[question.pop("ask")]
    try:
        return {"answer": ask(**question)}
    except Exception as error:  # what is wrong is for the test to say
        return {"error": f"{type(error).__name__}: {error}"}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
