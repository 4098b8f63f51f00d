#!/usr/bin/env bash
# Runs the tests of a preset, and says of those that were skipped why, before ctest's own last lines.
#
#   scripts/ctest.sh PRESET [ctest arguments]     ctest's exit status
#
# A test gives its reason as "skipped: REASON", or by GTEST_SKIP() << "REASON".
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
build=build
[ "$preset" = release ] || build=build-$preset
log=$build/Testing/Temporary/LastTest.log
rm -f "$log"  # should ctest not come to write one

# Each distinct reason, with how many tests gave it.
reasons() {
  [ ! -e "$log" ] || awk '
    function give(reason) {
      if (!(reason in tests)) order[++distinct] = reason
      tests[reason]++
    }
    named { give($0); named = 0; next }
    /: Skipped$/ { named = 1; next }  # GoogleTest: FILE:LINE: Skipped, and the reason behind it
    sub(/^skipped: /, "") { give($0) }
    END {
      if (distinct) print "Why tests were skipped:"
      for (i = 1; i <= distinct; i++) printf "%6d  %s\n", tests[order[i]], order[i]
      if (distinct) print ""
    }' "$log"
}

# The summary is held back until ctest has ended, which is when its log is whole.
ctest --preset "$preset" "${@:2}" 2>&1 | {
  summary=()
  while IFS= read -r line; do
    if [ "${#summary[@]}" -gt 0 ] || [[ $line =~ ^[0-9]+%\ tests\ passed ]]; then
      summary+=("$line")
    else
      printf '%s\n' "$line"
    fi
  done
  reasons
  [ "${#summary[@]}" -eq 0 ] || printf '%s\n' "${summary[@]}"
}
