# How every target of Baton is compiled, and the function that makes a layer.

add_library(baton_compile_options INTERFACE)
target_compile_options(baton_compile_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
target_include_directories(baton_compile_options INTERFACE
  ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR})

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

# baton_layer(NAME SOURCES... LINK libs... PRIVATE_LINK libs...): the static library baton_NAME.
function(baton_layer name)
  cmake_parse_arguments(LAYER "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(baton_${name} STATIC ${LAYER_SOURCES})
  target_link_libraries(baton_${name}
    PUBLIC baton_compile_options ${LAYER_LINK}
    PRIVATE ${LAYER_PRIVATE_LINK})
endfunction()

# baton_tests(DIR LABEL label LINK libs...): one program for each *_test.cc in tests/DIR.
function(baton_tests dir)
  cmake_parse_arguments(TESTS "" "LABEL;TIMEOUT" "LINK" ${ARGN})
  if(NOT TESTS_TIMEOUT)
    set(TESTS_TIMEOUT 60)
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${dir}/*_test.cc)
  string(REPLACE "/" "_" prefix ${dir})
  foreach(source ${sources})
    get_filename_component(stem ${source} NAME_WE)
    set(target ${prefix}_${stem})
    add_executable(${target} ${source})
    target_link_libraries(${target} PRIVATE ${TESTS_LINK} baton_compile_options
      GTest::gmock GTest::gtest_main)
    set_target_properties(${target} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/bin)
    gtest_discover_tests(${target}
      TEST_PREFIX "${TESTS_LABEL}." DISCOVERY_MODE PRE_TEST
      PROPERTIES LABELS ${TESTS_LABEL} TIMEOUT ${TESTS_TIMEOUT})
  endforeach()
endfunction()
