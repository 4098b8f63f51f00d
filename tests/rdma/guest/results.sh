# What a suite has to say: a line for each test to the second serial line, which the host reads, and to
# the console, which people read.

exec 3>/dev/ttyS1

result() {
  printf '%s\n' "$*" >&3
  printf '%s\n' "$*"
}
ok() { result "ok $1"; }
failed() { result "FAILED $1: ${*:2}"; }
skipped() { result "skipped $1: ${*:2}"; }
# For what nothing can be tested after.
give_up() {
  failed machine "$@"
  dmesg | tail -n 20
  result end
  exit 1
}

# check NAME LIMIT_S COMMAND...: ok if the command ends in time with status 0. Its output is in $check_log
# and is shown when it failed.
check_log=/tmp/check.log
check() {
  local name=$1 limit_s=$2 status=0 started_s=$SECONDS
  shift 2
  timeout -k 5 "$limit_s" "$@" >"$check_log" 2>&1 || status=$?
  echo "$name: $((SECONDS - started_s)) s"
  if [ "$status" -eq 0 ]; then
    ok "$name"
    return
  fi
  cat "$check_log"
  if [ "$status" -gt 128 ] && [ $((SECONDS - started_s)) -ge "$limit_s" ]; then
    failed "$name" "stopped after its time limit of $limit_s s"
  else
    failed "$name" "exit status $status"
  fi
  return 1
}

# An Oops makes everything that came after it worthless as evidence.
check_kernel() {
  if dmesg | grep -qE 'BUG:|Oops|general protection|WARNING:'; then
    dmesg | grep -E -A 12 'BUG:|Oops|general protection|WARNING:' | head -n 60
    failed kernel 'it complained, see above'
  fi
}
