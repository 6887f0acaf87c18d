#!/usr/bin/env bash
# Runs a fuzz target from its corpus and prints one line of TAP: run.sh TARGET CORPUS [SECONDS]
# Without SECONDS it makes 10,000 runs from a fixed seed, and stops after 20 seconds. What it finds stays in $TMPDIR; an input
# that shows a fault is printed in hex: write it to a file and give that to TARGET.
set -uo pipefail
target=$1 corpus=$2 seconds=${3:-}
name=$(basename "$target")
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
bound=(-runs=10000 -seed=1 -max_total_time=20)
[ -z "$seconds" ] || bound=("-max_total_time=$seconds")
bound+=(-entropic=0) # weighing inputs by their rare features takes a third of the time of a target that covers much
mkdir "$new/corpus" "$new/found"
if [ ! -d "$corpus" ] || [ -z "$(ls -A "$corpus")" ]; then
  echo "not ok $name"
  echo "# there is no corpus in $corpus"
  exit 1
fi
if "$target" "${bound[@]}" -timeout=20 -rss_limit_mb=2048 -artifact_prefix="$new/found/" "$new/corpus" "$corpus" >"$new/log" 2>&1; then
  echo "ok $name # $(grep -E '^Done|stat::number_of_executed' "$new/log" | tail -1), cov $(grep -oE 'cov: [0-9]+' "$new/log" | tail -1)"
else
  echo "not ok $name"
  tail -n 40 "$new/log" | sed 's/^/# /'
  for file in "$new"/found/*; do echo "# $(basename "$file"): $(xxd -p "$file" 2>/dev/null | tr -d '\n' || od -An -tx1 "$file" | tr -d ' \n')"; done
  exit 1
fi
