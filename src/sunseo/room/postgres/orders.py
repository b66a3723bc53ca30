"""What an operator orders takes effect once: it is known by who sent it, what for, and its key."""

from sqlalchemy.ext.asyncio import AsyncEngine

from sunseo.core.ids import Person, effect_id
from sunseo.operators.effects import EffectAnswer, Work, once
from sunseo.room.setup.changes import Order

OPERATOR_ISSUER = "sunseo:operator"


async def once_a_key(
    engine: AsyncEngine, organisation: int, by: Order, action: str, work: Work
) -> EffectAnswer:
    """Do some work in a transaction of its own, unless the order was taken before."""
    person = Person.named(organisation, OPERATOR_ISSUER, by.operator)
    effect = effect_id(person, 0, action, by.key)
    return await once(engine, organisation, effect, by.digest, work)
