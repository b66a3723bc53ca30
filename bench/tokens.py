"""Persons, as the host's issuer would vouch for them."""

import time
from pathlib import Path

import jwt

ISSUER = "https://tickets.example"
SECRET = "the benchmark's own secret, shared by issuer and servers"
VALID_S = 24 * 60 * 60


def write_tokens(path: Path, persons: int) -> None:
    """Write one signed token a line, all valid for a day."""
    expires = int(time.time()) + VALID_S
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "\n".join(
            jwt.encode(
                {"iss": ISSUER, "sub": f"person-{number}", "exp": expires},
                SECRET,
                algorithm="HS256",
            )
            for number in range(persons)
        )
        + "\n"
    )
