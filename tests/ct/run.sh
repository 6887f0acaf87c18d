#!/usr/bin/env bash
# run.sh BUILD_DIR: builds tests/ct and runs it under valgrind. Prints TAP; if something is wrong, valgrind's reports follow.
# Each suppression must stand for exactly as many reports as the program says.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! ninja -C "$1" tests/ct >"$work/build" 2>&1; then
  echo "not ok ct: build"
  sed 's/^/# /' "$work/build"
  exit 1
fi
program=$(realpath "$1/tests/ct")
cd "$work"
# valgrind 3.19 dies of clang's way to write debugging information; then its reports name functions only.
if readelf -p .comment "$program" | grep -q clang; then
  objcopy --strip-debug "$program" ct
  program=./ct
fi
status=0
valgrind --quiet --show-error-list=yes --log-file=log --error-limit=no --expensive-definedness-checks=yes --num-callers=8 \
  --leak-check=no --suppressions="$here/suppressions" "$program" >out || status=$?
cat out

sed -nE 's/^# (ct-[a-z0-9-]+ [0-9]+)$/\1/p' out | sort >expected
sed -nE 's/.*used_suppression: +([0-9]+) (ct-[a-z0-9-]+) .*/\2 \1/p' log | sort >suppressed
if diff expected suppressed >difference && [ -s expected ]; then
  echo "ok ct: nothing hides behind a suppression"
else
  echo "not ok ct: nothing hides behind a suppression"
  sed 's/^/# /' difference
  status=1
fi
echo "1..1"
[ "$status" = 0 ] || sed 's/^/# /' log
exit "$status"
