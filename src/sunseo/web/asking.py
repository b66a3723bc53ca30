"""Commands that ask a running server over its API, with an operator key."""

import json
import urllib.error
import urllib.request
from typing import Annotated, Any, NoReturn
from uuid import uuid4

import typer

FAILED = 1
MISUSE = 2
UNREACHABLE = 3
MISUSES = frozenset({400, 401, 404, 422})  # no such thing, no such field, no such key
PATIENCE_S = 30.0

UrlOption = Annotated[str, typer.Option(help="Where the server listens.")]
KeyOption = Annotated[
    str, typer.Option(envvar="OPERATOR_KEY", help="An operator key.", show_default=False)
]

HOME = "http://127.0.0.1:8000"


def ask(
    url: str, key: str, method: str, path: str, body: Any = None, *, effect: str | None = None
) -> Any:
    """Send one request; a refusal ends the command with what the server says.

    `effect` is its Idempotency-Key, for what may have been sent before.
    """
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    if method != "GET":
        headers["Idempotency-Key"] = effect or str(uuid4())
    data = None if body is None else json.dumps(body).encode()
    if not url.startswith(("http://", "https://")):
        fail(f"{url} is no http URL", MISUSE)
    request = urllib.request.Request(url + path, data, headers, method=method)  # noqa: S310 - http only, see above
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - as above
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            code = MISUSE if refused.code in MISUSES else FAILED
            fail(_words_of(refused.read(), refused.code), code)
    except OSError as error:
        fail(f"{url} does not answer: {getattr(error, 'reason', error)}", UNREACHABLE)


def show(answer: Any) -> None:
    typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))


def fail(line: str, code: int = FAILED) -> NoReturn:
    """Say in one line what was wrong: refused, misused, or out of reach."""
    typer.echo(f"sunseo: {line}", err=True)
    raise typer.Exit(code)


def _words_of(problem: bytes, status: int) -> str:
    try:
        told = json.loads(problem)
        return f"{told['detail']} ({told['outcome']})"
    except (ValueError, KeyError, TypeError):
        return f"the server answered {status}"
