#!/bin/sh
# Each plant must be found within the seeds 1 to $1, by the promise that it breaks. Two at a time.
set -eu
last=$1
find_plant() {
  # Three need more faults than moderate ones to show within the range.
  case $1 in
    adopt-lost-page-ahead | drain-after-failed-write | skip-epoch-check) faults=heavy ;;
    *) faults=moderate ;;
  esac
  found=$(build/bin/baton-sim-plants --plant "$1" --seeds "1..$last" --faults "$faults" | tail -n 1) || true
  echo "$1: $found"
  case $found in
    "found seed="*" promise=$2") ;;
    *) echo "$1: NOT FOUND as a breach of $2 within $last seeds"; exit 1 ;;
  esac
}
if [ $# -eq 3 ]; then
  find_plant "$2" "$3"
else
  build/bin/baton-sim-plants --plants | awk '{ print $1, $2 }' | xargs -P 2 -L 1 "$0" "$last"
fi
