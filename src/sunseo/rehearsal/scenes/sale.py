"""What all kinds of sale have in common: how they are set up, bought from, judged and told of."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from sunseo.rehearsal.crowd.behaviour import People
from sunseo.rehearsal.crowd.caller import VisitorClient
from sunseo.rehearsal.crowd.journey import Inside, VisitorJourney
from sunseo.rehearsal.crowd.shopping import Shopping
from sunseo.rehearsal.http.client import ApiClient
from sunseo.rehearsal.observe.ledger import DriverRecord
from sunseo.rehearsal.scenes.scene import Scene, Texts
from sunseo.rehearsal.target.operator import Operator
from sunseo.rehearsal.verdict.evidence import CheckFunction
from sunseo.rehearsal.verdict.sold import orders_told, within_limit

PersonLimit = Annotated[int, Meta(ge=1, le=50)]


class BuyingJourney(VisitorJourney):
    """The way through any sale."""

    done = "bought"

    async def visit(self, caller: VisitorClient, inside: Inside) -> None:
        await Shopping(caller, inside).run()


class SaleScene(Scene, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """One or more sales."""

    table: ClassVar[str] = "sale"
    lead: ClassVar[str] = "lead"
    tiles: ClassVar[Sequence[str]] = ("orders", "sold_out")
    texts: ClassVar[Texts] = {
        "ko": {
            "lead": "방문자 {visitors}명이 {units}개를 두고 모였습니다. 주문 {orders}건으로"
            " {sold}개가 팔렸습니다{sold_out}.",
            "check.person-limit": "한 사람이 가질 수 있는 것보다 많이 주문한 사람이 없습니다",
            "check.orders-told": "저장된 주문은 모두 산 사람에게 알렸거나, 다시 물으면 찾을 수"
            " 있습니다",
            "funnel.held": "선점",
            "funnel.ordered": "주문",
            "gone.bought": "주문함",
        },
        "en": {
            "lead": "{visitors} visitors came for {units} units. {orders} orders were placed;"
            " {sold} units were sold{sold_out}.",
            "check.person-limit": "Nobody ordered more than one person may have",
            "check.orders-told": "Every stored order was told to its buyer, or found by asking"
            " again",
            "funnel.held": "held something",
            "funnel.ordered": "ordered",
            "gone.bought": "with an order",
        },
    }

    @property
    def sales(self) -> int:
        return 1

    @property
    def checks(self) -> Mapping[str, CheckFunction]:
        return {**self.own_checks, "person-limit": within_limit, "orders-told": orders_told}

    @property
    def own_checks(self) -> Mapping[str, CheckFunction]:
        """Those of this kind of sale."""
        return {}

    def stock(self) -> tuple[str, dict[str, Any]]:
        """What is put on sale: the path below the sale, and the request."""
        raise NotImplementedError

    def must_fit(self, people: People, capacity: int | None) -> None:  # noqa: ARG002 - any room will do
        wanted = len(people.party_weights)
        if wanted > self.person_limit:
            raise ValueError(
                f"people.party_weights has {wanted} sizes, sale.person_limit is"
                f" {self.person_limit}: nobody may want more than one person may have"
            )

    async def create(self, operator: Operator, opens_at: datetime, session_s: float) -> int:
        sale = int((await operator.post("/v1/sales", self._settings(opens_at, session_s)))["sale"])
        path, request = self.stock()
        await operator.post(f"/v1/sales/{sale}/{path}", request)
        return sale

    def _settings(self, opens_at: datetime, session_s: float) -> dict[str, Any]:
        limit = self.person_limit
        evening = opens_at + timedelta(days=30)
        return {
            "template": "concert",
            "name": "Rehearsal",
            "currency": "KRW",
            "time_zone": "Asia/Seoul",
            "opens_at": opens_at.isoformat(),
            "hold_ttl_s": max(10, round(3 * session_s)),
            "order_limit": limit,
            "occasion_limit": limit,
            "person_limit": limit,
            "persons": "guests",  # as which a part of the crowd comes
            "price_classes": [{"name": "Free for this rehearsal", "price": 0}],
            "occasions": [{"name": "The day", "starts_at": evening.isoformat()}],
        }

    def journey(self, companion: ApiClient | None) -> VisitorJourney:  # noqa: ARG002 - everything is here
        return BuyingJourney()

    def funnel(self, record: DriverRecord) -> dict[str, int]:
        ledger = record.ledger
        return {
            "held": len({held.visitor for held in ledger.held}),
            "ordered": len({ordered.visitor for ordered in ledger.ordered}),
        }
