# Runs a GoogleTest program and turns its lines into results. A test's output is shown when it failed, lines
# that begin with 'note: ' always.

# gtest LIMIT_S PROGRAM FILTER: LIMIT_S is for each single test. Adds the tests run to $tests_run.
gtest() {
  local limit_s=$1 program=$2 filter=$3 name='' log='' line status=0 pid out
  exec {out}< <(exec setsid "$program" --gtest_filter="$filter" --gtest_color=no 2>&1)
  pid=$!
  while true; do
    line=''
    # -t: no line for so long means that the test hangs. 1 at the end of the output.
    IFS= read -r -t "$limit_s" -u "$out" line || status=$?
    [ "$status" -eq 0 ] || [ -n "$line" ] || break
    case $line in
      '[ RUN      ] '*)
        name=${line#*] }
        log=''
        ;;
      '[       OK ] '*)
        ok "$name"
        name='' tests_run=$((tests_run + 1))
        ;;
      '[  SKIPPED ] '*' ms)')
        skipped "$name" "$(head -n 2 <<<"$log" | tail -n 1)"
        name=''
        ;;
      '[  FAILED  ] '*)
        if [ -n "$name" ]; then
          printf '%s\n' "$log"
          failed "$name" "see above"
          name='' tests_run=$((tests_run + 1))
        fi
        ;;
      'note: '*) echo "$name: ${line#note: }" ;;
      *) log+=$line$'\n' ;;
    esac
    [ "$status" -eq 0 ] || break
  done
  exec {out}<&-
  end_program
}

# Of gtest(), whose variables it sees: what a hang, or an end in the middle of a test, means.
end_program() {
  if [ "$status" -gt 128 ]; then
    kill -KILL -- "-$pid"
    wait "$pid"
    printf '%s\n' "$log"
    failed "${name:-${program##*/}}" "no sign of life for $limit_s s"
    return
  fi
  status=0
  wait "$pid" || status=$?
  kill -KILL -- "-$pid" 2>/dev/null  # children that it left behind
  if [ -n "$name" ] || [ "$status" -gt 1 ]; then
    printf '%s\n' "$log"
    failed "${name:-${program##*/}}" "the program ended with status $status"
  fi
}
