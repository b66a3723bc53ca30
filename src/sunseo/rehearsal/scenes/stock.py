"""Stock: one counted stock that everybody wants; its row is the hottest there can be."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Annotated, Any, ClassVar, Self

import aiohttp
import msgspec
from msgspec import Meta

from sunseo.rehearsal.crowd.picking import (
    FAVOURITE_PRODUCTS,
    AvailabilityBody,
    Claim,
    FreeItems,
    Goods,
    availability_of_stocks,
    pick_product,
)
from sunseo.rehearsal.scenes.sale import PersonLimit, SaleScene
from sunseo.rehearsal.scenes.scene import Texts
from sunseo.rehearsal.verdict.evidence import CheckFunction
from sunseo.rehearsal.verdict.sold import within_stock


class StockGoods(Goods):
    """Counted products as visitors see and claim them; each draws from the stock of its number."""

    def read(self, document: AvailabilityBody) -> FreeItems:
        return availability_of_stocks(document.stocks)

    def pick(self, view: FreeItems, wanted: int, attempt: int, dice: Random) -> Claim:
        return _claim(pick_product(view, attempt, dice), wanted)

    def claim_one(self, item: int) -> Claim:
        return _claim(item, 1)


def _claim(product: int, quantity: int) -> Claim:
    return {"products": [{"product": product, "quantity": quantity}]}


class CountedSale(SaleScene, frozen=True, kw_only=True):
    """What is sold by count, whatever the stocks are."""

    texts: ClassVar[Texts] = {
        "ko": {"check.within-stock": "있는 것보다 많이 팔린 재고가 없습니다"},
        "en": {"check.within-stock": "No stock was sold beyond what there was"},
    }

    @property
    def own_checks(self) -> Mapping[str, CheckFunction]:
        return {"within-stock": within_stock}

    def stocks(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    def stock(self) -> tuple[str, dict[str, Any]]:
        """With a product of each, of the same number."""
        stocks = self.stocks()
        products = [
            {"name": one["name"], "price": 0, "draws": [{"stock": number}]}
            for number, one in enumerate(stocks, 1)
        ]
        return "stocks", {"stocks": stocks, "products": products}

    async def load_goods(
        self,
        session: aiohttp.ClientSession,  # noqa: ARG002 - there is nothing to load
        sales: Sequence[int],  # noqa: ARG002 - as above
    ) -> Goods:
        return StockGoods(self.person_limit)

    def plan(self) -> dict[str, object]:
        return {"has_seats": False, "favourites": FAVOURITE_PRODUCTS}


class StockSale(CountedSale, frozen=True, kw_only=True, tag="stock"):
    """
    Attributes:
        units: all there are.
        person_limit: so many may one person have.
    """

    units: Annotated[int, Meta(ge=1, le=10_000_000)] = 1_000
    person_limit: PersonLimit = 1

    def with_units(self, units: int) -> Self:
        return msgspec.structs.replace(self, units=units)

    def stocks(self) -> list[dict[str, Any]]:
        return [{"occasion": 1, "name": "Coupon", "capacity": self.units}]
