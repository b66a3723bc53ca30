"""The HTTP face of orders."""

from sunseo.booking.routes import PASS_HEADER, Heard, note_times
from sunseo.checkout.bodies import OrderBody, OrderList, OrderRequest, order_body
from sunseo.checkout.commands import PlaceOrderOutcome, ReadOrderOutcome
from sunseo.checkout.rules import OrderAnswer
from sunseo.checkout.service import OrderService
from sunseo.core.later import LaterOutcome
from sunseo.core.outcome import Refusal
from sunseo.engine.entry import Answer as LaneAnswer
from sunseo.engine.part import PartAnswer
from sunseo.web.endpoint import Answer, Auth, Call, Endpoint, LaneHandler, Reply


def order_endpoints(service: OrderService) -> list[Endpoint]:
    handlers = OrderHandlers(service)
    return [
        Endpoint(
            name="place_order",
            method="POST",
            path="/v1/sales/{sale:int}/orders",
            summary="Turn a hold into an order",
            description="Where a waiting room stands in front of the sale, send your pass as "
            "`Sunseo-Pass`: it ends with the order, and whoever is next may come in at once.",
            handler=LaneHandler(handlers.place, handlers.placed),
            request=OrderRequest,
            response=OrderBody,
            success=201,
            outcomes=(*PlaceOrderOutcome, *LaterOutcome),
            auth=Auth.PERSON,
            idempotent_key=True,
        ),
        Endpoint(
            name="list_orders",
            method="GET",
            path="/v1/sales/{sale:int}/orders",
            summary="List your own orders in a sale",
            handler=handlers.list_own,
            response=OrderList,
            auth=Auth.PERSON,
        ),
        Endpoint(
            name="read_order",
            method="GET",
            path="/v1/sales/{sale:int}/orders/{order:uuid}",
            summary="Read one of your own orders",
            handler=handlers.read,
            response=OrderBody,
            outcomes=(ReadOrderOutcome.UNKNOWN_ORDER,),
            auth=Auth.PERSON,
        ),
    ]


class OrderHandlers:
    def __init__(self, service: OrderService) -> None:
        self._service = service

    def place(self, call: Call) -> Heard:
        return self._service.place(call.person, call.idempotency_key, call.path["sale"], call.body)

    def placed(self, call: Call, heard: LaneAnswer[PartAnswer]) -> Answer:
        note_times(call, heard)
        result = heard.result
        if result.outcome.kind.is_success:
            self._service.give_back(call.person, call.path["sale"], call.header(PASS_HEADER))
        if isinstance(result, OrderAnswer) and result.order is not None:
            shown = order_body(result.order, result.currency)
            return Reply(None, shown, outcome=result.outcome)
        return Refusal(result.outcome)

    async def list_own(self, call: Call) -> Answer:
        own = await self._service.own(call.person, call.path["sale"])
        return Reply(200, OrderList([order_body(order, currency) for order, currency in own]))

    async def read(self, call: Call) -> Answer:
        own = await self._service.own(call.person, call.path["sale"], call.path["order"])
        if not own:
            return Refusal(ReadOrderOutcome.UNKNOWN_ORDER)
        return Reply(200, order_body(*own[0]))
