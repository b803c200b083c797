#!/usr/bin/env bash
# The main job, end to end, on the embedded organisation: logs in, a served ranking out. Run by `make demo`.
set -euo pipefail
PY=${PY:-.venv/bin/python}
PORT=${PORT:-3000}

step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

if "$PY" -c "import socket, sys; sys.exit(socket.socket().connect_ex(('127.0.0.1', $PORT)))"; then
  echo "Port $PORT is taken: stop what listens there, or run make demo PORT=3001" >&2
  exit 1
fi
started=$SECONDS

step "An organisation's learning logs: learners, catalogue, 14 months of events"
"$PY" -m features synthesize var/organisation
if [ -f var/events.db ]; then "$PY" -m features migrate; fi # a store that an older version left
"$PY" -m features ingest --tenant demo --format events var/organisation
"$PY" -m features materialize --tenant demo

step "Train, compare on what learners did next, promote the best, publish it"
"$PY" -m training fit --tenant demo --config training/configs/default.toml
"$PY" -m training promote --tenant demo
"$PY" -m training publish --tenant demo

step "An experiment that is over: 28 days in an organisation of 400 learners with the same catalogue, and its report"
rm -rf var/simulated/beneficial
"$PY" -m experiments simulate beneficial --tenant demo --learners 400 --seed 1
simulated=(--store sqlite:///var/simulated/beneficial/events.db --lake var/simulated/beneficial/lake)
simulated+=(--folder var/simulated/beneficial/experiments --out var/simulated/beneficial)
report() { "$PY" -m experiments report beneficial --tenant demo "${simulated[@]}"; }
report || { echo "The experiment's report could not be written" >&2; exit 1; }

step "Serve it on http://127.0.0.1:$PORT"
mkdir -p var
export NEXTWISE_POLICY=docs/examples/policy.toml # the organisation's two work calendars
"$PY" -m serving serve --port "$PORT" >var/service.log 2>&1 &
service=$!
trap 'kill "$service" 2>/dev/null || true; wait "$service" 2>/dev/null || true' EXIT
trap 'echo; exit 0' INT
"$PY" -m serving demo --url "http://127.0.0.1:$PORT" --wait 60 || { echo "The service log is in var/service.log" >&2; exit 1; }
printf '\nThe report of a finished experiment: var/simulated/beneficial/beneficial.html\n'
printf 'From logs to answers in %s s.\n' "$((SECONDS - started))"

if [ -n "${DEMO_EXIT:-}" ]; then exit 0; fi
echo "Serving until Ctrl-C."
wait "$service"
