"""A job of the kind `hello`: what docs/tutorials/first-lambda.md begins with."""

from dataclasses import dataclass

from posthaste import Posthaste

app = Posthaste()  # verifies with POSTHASTE_SIGNING_SECRET
handler = app.aws_lambda


@dataclass
class Hello:
    """Whom to greet."""

    name: str


@app.job("hello")
def hello(args: Hello) -> dict[str, str]:
    """Greet."""
    return {"hello": args.name}
