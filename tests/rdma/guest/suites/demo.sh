# `baton demo` in a short form: the same tokens and logits as in one process, and its bytes over RDMA.

suite_demo() {
  if [ ! -x "$BUILD/bin/baton" ]; then
    skipped demo 'it is not built (BATON_WITH_LLAMA is off)'
    return
  fi
  demo 1x1 --requests 5
  demo 2x2 --requests 5 --prefillers 2 --decoders 2
}

demo() {
  local name=demo/$1 json=/tmp/demo.json
  shift
  rm -f "$json"
  check "$name" 300 "$BUILD/bin/baton" demo --transport "$TRANSPORT" --timeout 280 \
    --ucx-devices "${BATON_TEST_UCX_DEVICES// /,}" \
    --model "$BUILD/tests/rdma/small.gguf" --chunk-size 64 --tokens 4 --json "$json" "$@" && tail -n 8 "$check_log"
  # Eager chunks go through no transport.
  payload_bytes=$((payload_bytes + $(sum_of bytes_written "$json") - $(sum_of bytes_eager "$json")))
}

# sum_of KEY FILE: of a number that stands in several places of a JSON file.
sum_of() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$2" | awk '{ sum += $1 } END { printf "%.0f\n", sum }'; }
