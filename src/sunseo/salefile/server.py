"""A sale as a running server has it, asked over its API."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sunseo.salefile.spec import KnownSale, known_sale
from sunseo.web.asking import MISUSE, PATIENCE_S, ask, fail

SETTLING_S = 10.0  # until every worker shows what one of them has written
POLL_S = 0.1


class SaleServer:
    """Asks one server with one operator key; what it refuses ends the command."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = key

    def find(self, slug: str) -> Mapping[str, Any] | None:
        """The sale of a slug, as it is listed."""
        found = ask(self._url, self._key, "GET", f"/v1/sales?slug={quote(slug)}")["sales"]
        return found[0] if found else None

    def listed(self) -> list[dict[str, Any]]:
        """The newest sales."""
        return [dict(entry) for entry in self._get("/v1/sales")["sales"]]

    def entry(self, number: int) -> Mapping[str, Any]:
        """The sale of a number, as it is listed; there has to be one."""
        for entry in self.listed():
            if entry["sale"] == number:
                return entry
        if (named := self.find(f"sale-{number}")) is None:
            fail(f"there is no sale {number}", MISUSE)
        return named

    def read(self, entry: Mapping[str, Any]) -> KnownSale:
        """All of a sale, at least as new as it was listed."""
        number, version = entry["sale"], entry["version"]
        until = time.monotonic() + SETTLING_S
        while True:
            sale = self._get(f"/v1/sales/{number}")
            availability = self._get(f"/v1/sales/{number}/availability")
            seats = {
                part["occasion"]: self._get(
                    f"/v1/sales/{number}/seats?occasion={part['occasion']}"
                )["seats"]
                for part in availability["occasions"]
            }
            states = {o["occasion"]: len(o["states"]) for o in availability["occasions"]}
            told = {occasion: len(those) for occasion, those in seats.items()}
            if min(sale["version"], availability["version"]) >= version and told == states:
                return known_sale(entry, sale, seats, availability)
            if time.monotonic() > until:
                fail(f"{self._url} does not show version {version} of sale {number}")
            time.sleep(POLL_S)

    def rooms(self) -> list[Mapping[str, Any]]:
        return list(self._get("/v1/rooms")["rooms"])

    def unready(self) -> list[str]:
        """What the server says is not well with it."""
        try:
            with urllib.request.urlopen(f"{self._url}/readyz", timeout=PATIENCE_S):  # noqa: S310 - http only: `ask` has seen the URL
                return []
        except urllib.error.HTTPError as refused:
            with refused:
                checks = json.load(refused)["checks"]
            return [f"{name}: {told}" for name, told in checks.items() if told != "ok"]

    def send(self, method: str, path: str, body: Any, key: str) -> Any:
        return ask(self._url, self._key, method, path, body, effect=key)

    def _get(self, path: str) -> Any:
        return ask(self._url, self._key, "GET", path)
