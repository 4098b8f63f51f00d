# How every target of Baton is compiled, and the function that makes a layer.

# For Baton's own sources only; who embeds Baton has their own warnings.
add_library(baton_warnings INTERFACE)
target_compile_options(baton_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 sees overlaps and overruns in libstdc++'s own string operator+ (GCC bugs 105329, 105651);
  # with a precompiled header it no longer hides them as a system header's.
  target_compile_options(baton_warnings INTERFACE -Wno-restrict -Wno-array-bounds)
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(baton_warnings INTERFACE -Wthread-safety)  # only Clang checks the locks
endif()

add_library(baton_compile_options INTERFACE)
target_compile_features(baton_compile_options INTERFACE cxx_std_20)
target_include_directories(baton_compile_options INTERFACE
  ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR})
# An assertion names its file; where the sources lay on the machine that built them is nobody's business.
target_compile_options(baton_compile_options INTERFACE -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)

if(BATON_SANITIZER STREQUAL "asan-ubsan")
  set(flags -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(BATON_SANITIZER STREQUAL "tsan")
  set(flags -fsanitize=thread -fno-omit-frame-pointer)
elseif(BATON_SANITIZER)
  message(FATAL_ERROR "BATON_SANITIZER is '${BATON_SANITIZER}'; known: asan-ubsan, tsan")
endif()
if(BATON_SANITIZER)
  target_compile_options(baton_compile_options INTERFACE ${flags})
  target_link_options(baton_compile_options INTERFACE ${flags})
endif()

option(BATON_FUZZ "Build the libFuzzer programs of tests/fuzz; needs Clang" OFF)
if(BATON_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR BATON_SANITIZER)
    message(FATAL_ERROR "BATON_FUZZ needs Clang, and brings its own sanitizers: see `make fuzz`")
  endif()
  set(flags -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(baton_compile_options INTERFACE ${flags} -fsanitize=fuzzer-no-link)
  target_link_options(baton_compile_options INTERFACE ${flags})
endif()

# Headers that nearly every source needs, compiled once: without them a build takes twice as long.
# Sources still include what they use; BATON_PRECOMPILE=OFF (make tidy) proves it.
option(BATON_PRECOMPILE "Precompile common headers" ON)
set(baton_common_headers
  <absl/container/flat_hash_map.h> <absl/container/flat_hash_set.h>
  <absl/functional/any_invocable.h> <absl/status/statusor.h> <fmt/format.h>
  <algorithm> <chrono> <functional> <map> <memory> <optional> <span> <string> <unordered_map>
  <variant> <vector>)

# baton_precompile(TARGET KIND): KIND is "library", "program" or "test"; one precompiled header each,
# for they are compiled with different flags.
function(baton_precompile target kind)
  if(NOT BATON_PRECOMPILE)
    return()
  endif()
  set(owner baton_pch_${kind})
  if(NOT TARGET ${owner})
    file(WRITE ${PROJECT_BINARY_DIR}/${owner}.cc "int main() { return 0; }\n")
    set(headers ${baton_common_headers})
    set(libraries baton_warnings baton_compile_options absl::flat_hash_map absl::flat_hash_set
      absl::any_invocable absl::statusor fmt::fmt Threads::Threads)
    if(kind STREQUAL "library")
      add_library(${owner} STATIC ${PROJECT_BINARY_DIR}/${owner}.cc)
    else()
      add_executable(${owner} ${PROJECT_BINARY_DIR}/${owner}.cc)
    endif()
    if(kind STREQUAL "test")
      list(APPEND headers <gmock/gmock.h> <gtest/gtest.h>)
      list(APPEND libraries GTest::gmock)
    endif()
    target_link_libraries(${owner} PRIVATE ${libraries})
    target_precompile_headers(${owner} PRIVATE ${headers})
  endif()
  target_precompile_headers(${target} REUSE_FROM ${owner})
endfunction()

# baton_layer(NAME SOURCES... LINK libs... PRIVATE_LINK libs...): the static library baton_NAME.
function(baton_layer name)
  cmake_parse_arguments(LAYER "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(baton_${name} STATIC ${LAYER_SOURCES})
  target_link_libraries(baton_${name}
    PRIVATE baton_warnings
    PUBLIC baton_compile_options ${LAYER_LINK}
    PRIVATE ${LAYER_PRIVATE_LINK})
  baton_precompile(baton_${name} library)
endfunction()

# baton_tests(DIR LABEL label LINK libs...): one program for each *_test.cc in tests/DIR.
function(baton_tests dir)
  cmake_parse_arguments(TESTS "" "LABEL;TIMEOUT" "LINK" ${ARGN})
  if(NOT TESTS_TIMEOUT)
    set(TESTS_TIMEOUT 60)
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${dir}/*_test.cc)
  string(REPLACE "/" "_" prefix ${dir})
  foreach(source ${sources})
    get_filename_component(stem ${source} NAME_WE)
    set(target ${prefix}_${stem})
    add_executable(${target} ${source})
    target_link_libraries(${target} PRIVATE baton_warnings ${TESTS_LINK} baton_compile_options fmt::fmt
      GTest::gmock GTest::gtest_main)
    baton_precompile(${target} test)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      target_compile_options(${target} PRIVATE -Wno-stringop-overflow)  # the same false alarm
    endif()
    set_target_properties(${target} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/bin)
    gtest_discover_tests(${target}
      TEST_PREFIX "${TESTS_LABEL}." DISCOVERY_MODE PRE_TEST
      PROPERTIES LABELS ${TESTS_LABEL} TIMEOUT ${TESTS_TIMEOUT})
  endforeach()
endfunction()
