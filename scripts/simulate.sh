#!/bin/sh
# Simulates the seeds 1 to $1 in two processes, each a half. Ends with 1 if either broke a promise.
set -eu
last=$1
half=$((last / 2))
build/bin/baton-sim --seeds 1..$half --stats &
first=$!
status=0
build/bin/baton-sim --seeds $((half + 1))..$last || status=1
wait $first || status=1
exit $status
