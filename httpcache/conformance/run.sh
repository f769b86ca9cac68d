#!/bin/sh
# Runs the public conformance suite of HTTP caches (https://cache-tests.fyi)
# against examples/dedupcache with its default flags, and prints what it failed
# and how other caches did. It needs node, npm and go, and the npm registry unless
# SUITE is a directory with the suite.
#
#	httpcache/conformance/run.sh
#	SUITE=~/cache-tests PORT=9000 httpcache/conformance/run.sh -ttl 1s
#
# Arguments are more flags of dedupcache. The origin listens at PORT of the
# loopback interface, the cache at the next. Exit status 1: fewer tests passed than are
# required (REQUIRED of those that must, OPTIMAL of those that should).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
port=${PORT:-8450}
work=$(mktemp -d)
trap 'kill $origin $cache 2>/dev/null || true; rm -rf "$work"' EXIT INT TERM
origin= cache=

if [ -z "${SUITE:-}" ]; then
	(cd "$work" && npm install --silent --no-audit --no-fund http-cache-tests@0.4.5 >&2)
	SUITE=$work/node_modules/http-cache-tests
fi
(cd "$here/../.." && go build -o "$work/dedupcache" ./examples/dedupcache)

# What npm would set from the suite's package.json, and a page that is no test.
export npm_config_protocol=http npm_config_port="$port" npm_config_pidfile="$work/pid" npm_config_id=
export npm_package_config_id= npm_config_base="http://127.0.0.1:$((port + 1))"
cd "$SUITE"
engine=.
[ -d test-engine ] && engine=test-engine
node --no-warnings "$engine/server/server.mjs" >"$work/origin.log" 2>&1 &
origin=$!
"$work/dedupcache" -listen "127.0.0.1:$((port + 1))" -origin "http://127.0.0.1:$port" "$@" >"$work/cache.log" 2>&1 &
cache=$!
tries=0
until node -e "fetch('$npm_config_base/').then(() => process.exit(0), () => process.exit(1))"; do
	tries=$((tries + 1))
	if [ $tries -gt 50 ]; then
		cat "$work/origin.log" "$work/cache.log" >&2
		exit 1
	fi
	sleep 0.2
done
node --no-warnings "$engine/cli.mjs" >"$work/vigil.json" 2>"$work/cli.log" || cat "$work/cli.log" >&2
node --no-warnings "$here/report.mjs" "$SUITE" "$work/vigil.json" "${REQUIRED:-145}" "${OPTIMAL:-75}"
