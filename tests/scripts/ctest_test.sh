#!/usr/bin/env bash
# scripts/ctest.sh on a small project of its own: reasons, ctest's last lines, its exit status.
#
#   ctest_test.sh SOURCE SCRATCH
set -euo pipefail
source=$1 scratch=$2
rm -rf "$scratch"
mkdir -p "$scratch/scripts"
cp "$source/scripts/ctest.sh" "$scratch/scripts/"
cd "$scratch"
cat >CMakePresets.json <<'JSON'
{"version": 6, "configurePresets": [{"name": "release", "generator": "Ninja", "binaryDir": "${sourceDir}/build"}],
 "testPresets": [{"name": "release", "configurePreset": "release"}]}
JSON
printf 'x.cc:7: Skipped\nbuilt without it\n\n[  SKIPPED ] x\n' >google.txt
cat >CMakeLists.txt <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(skips NONE)
enable_testing()
add_test(NAME fine COMMAND ${CMAKE_COMMAND} -E true)
foreach(number 1 2)
  add_test(NAME device${number} COMMAND ${CMAKE_COMMAND} -E echo "skipped: there is no device")
  add_test(NAME google${number} COMMAND ${CMAKE_COMMAND} -E cat ${CMAKE_SOURCE_DIR}/google.txt)
endforeach()
set_tests_properties(device1 device2 PROPERTIES SKIP_REGULAR_EXPRESSION "^skipped: ")
set_tests_properties(google1 google2 PROPERTIES SKIP_REGULAR_EXPRESSION "  SKIPPED ")
if(WITH_FAILURE)
  add_test(NAME broken COMMAND ${CMAKE_COMMAND} -E false)
endif()
CMAKE

fail() {
  echo "FAILED: $*" >&2
  cat output >&2
  exit 1
}
cmake --preset release >/dev/null
scripts/ctest.sh release >output || fail "the status of tests that passed"
before=$(grep -n '% tests passed, 0 tests failed out of 5' output | cut -d: -f1) || fail "no summary"
head -n "$before" output | grep -qx ' *2  there is no device' || fail "the first reason is not before the summary"
head -n "$before" output | grep -qx ' *2  built without it' || fail "GoogleTest's reason is not before the summary"
tail -n 1 output | grep -q 'google2 (Skipped)' || fail "ctest's last line is not the last"

cmake --preset release -DWITH_FAILURE=ON >/dev/null
status=0
scripts/ctest.sh release >output || status=$?
[ "$status" -eq 8 ] || fail "the status of a failed test is $status, ctest's is 8"
grep -q 'broken (Failed)' output || fail "the failed test is not named"

scripts/ctest.sh release -R google1 >output || fail "the status of a skipped test"
grep -q 'google1 (Skipped)' output || fail "arguments don't reach ctest"
grep -qx ' *1  built without it' output || fail "a reason is counted more than once"
echo "all is well"
