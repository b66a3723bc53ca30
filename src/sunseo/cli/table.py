"""The commands of `sunseo`: where each is, and what it says of itself."""

from sunseo.commands import LazyCommand

COMMANDS = {
    "demo": LazyCommand(
        "sunseo.rehearsal.command:demo",
        "Sell out a concert to a crowd on a throw-away server, then verify the result.",
    ),
    "backup": LazyCommand(
        "sunseo.backup.command:backup",
        "Save database and secret in one file, also while the server runs.",
    ),
    "restore": LazyCommand(
        "sunseo.backup.command:restore",
        "Bring a backup back, into a new data folder or an empty database.",
    ),
    "migrate": LazyCommand(
        "sunseo.backup.command:migrate",
        "Bring the database's schema up to this version; offers a backup first.",
    ),
    "version": LazyCommand("sunseo.cli.version:version", "Print the version."),
    "serve": LazyCommand(
        "sunseo.cli.serve:serve",
        "Serve the API; starts PostgreSQL as well, unless a database_url is set.",
    ),
    "verify": LazyCommand("sunseo.cli.verify:verify", "Check every invariant in the stored data."),
    "gate": LazyCommand(
        "sunseo.cli.gate:gate",
        "Answer nginx's auth_request: whether a visitor's pass lets her in.",
    ),
    "keys": LazyCommand("sunseo.operators.keys_command:keys", "Operator keys."),
    "room": LazyCommand("sunseo.room.setup.command:room", "Waiting rooms."),
    "sale": LazyCommand(
        "sunseo.salefile.command:sale", "Sales: made of files, changed, checked, stopped at once."
    ),
    "draw": LazyCommand("sunseo.room.draw.command:draw", "Draws that anyone can check."),
    "rehearse": LazyCommand(
        "sunseo.rehearsal.command:rehearse",
        "Send a simulated crowd over real HTTP, and end with a verdict.",
    ),
}
