#!/usr/bin/env bash
# Runs each libFuzzer program of build-fuzz/ for SECONDS: first on its corpus, then on what it makes of
# it. Inputs that reach new code are kept in build-fuzz/finds/; one that breaks something is named.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?usage: scripts/fuzz.sh SECONDS}
for program in build-fuzz/fuzz/fuzz_*; do
  name=$(basename "$program")
  [[ $name == *_replay ]] && continue
  finds=build-fuzz/finds/$name
  mkdir -p "$finds"
  echo "== $name"
  "$program" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 \
    -verbosity=0 -print_final_stats=1 -artifact_prefix="$finds/" "$finds" "tests/fuzz/corpus/$name"
done
