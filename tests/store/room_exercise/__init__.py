"""What every store of rooms has to keep: one suite, run on each store there is.

A store is put to the test by a `Premises`. The suite of a store derives from `RoomExercise`, and
has a fixture `premises` that opens one.
"""

from tests.store.room_exercise.board import BoardExercise
from tests.store.room_exercise.crash import CrashExercise
from tests.store.room_exercise.draws import DrawExercise
from tests.store.room_exercise.leader import LeaderExercise
from tests.store.room_exercise.lines import LineExercise
from tests.store.room_exercise.setup import SetupExercise
from tests.store.room_exercise.signals import SignalExercise


class RoomExercise(
    LineExercise,
    LeaderExercise,
    BoardExercise,
    SetupExercise,
    SignalExercise,
    DrawExercise,
    CrashExercise,
):
    """All of `RoomStore`."""
