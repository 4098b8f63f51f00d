#!/usr/bin/env bash
# Checks formatting (clang-format) and runs clang-tidy over the sources, as build-tidy/ compiles them.
#
#   scripts/lint.sh [FILE.cc...]      (default: all of them)
set -euo pipefail
cd "$(dirname "$0")/.."

git ls-files '*.h' '*.cc' | xargs clang-format-16 --dry-run -Werror
if [ "$#" -gt 0 ]; then
  files=("$@")
else
  mapfile -t files < <(git ls-files 'src/*.cc' 'tools/*.cc' 'tests/*.cc')
fi
printf '%s\n' "${files[@]}" | xargs -P 2 -n 4 clang-tidy-16 -p build-tidy --quiet
