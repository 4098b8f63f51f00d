# Copies of the logic's sources with the plants in them, in the build folder. Made anew whenever a
# source or the list of plants changes; a text that is not found exactly once is an error, so that a
# plant can't silently stop to be one.

set(baton_planted_dir ${PROJECT_BINARY_DIR}/planted)
set(baton_plant_rows "")

function(baton_plant_also name file find replace)
  get_property(text GLOBAL PROPERTY baton_planted_${file})
  if(NOT text)
    file(READ ${PROJECT_SOURCE_DIR}/${file} text)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${file})
    set_property(GLOBAL APPEND PROPERTY baton_planted_files ${file})
  endif()
  string(FIND "${text}" "${find}" first)
  string(FIND "${text}" "${find}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "plant ${name}: this text does not stand exactly once in ${file}:\n${find}")
  endif()
  string(REPLACE "PLANTED" "::baton::simulation::planted(\"${name}\")" replace "${replace}")
  string(REPLACE "${find}" "${replace}" text "${text}")
  set_property(GLOBAL PROPERTY baton_planted_${file} "${text}")
endfunction()

function(baton_plant name promise what file find replace)
  set_property(GLOBAL APPEND_STRING PROPERTY baton_plant_rows
    "    {\"${name}\", \"${promise}\", \"${what}\"},\n")
  set_property(GLOBAL APPEND PROPERTY baton_plant_names ${name})
  set_property(GLOBAL PROPERTY baton_plant_promise_${name} ${promise})
  baton_plant_also(${name} ${file} "${find}" "${replace}")
endfunction()

function(baton_write_if_different file text)
  set(before "")
  if(EXISTS ${file})
    file(READ ${file} before)
  endif()
  if(NOT before STREQUAL text)
    file(WRITE ${file} "${text}")
  endif()
endfunction()

# baton_planted_layer(NAME): the static library baton_planted_NAME, of the sources of baton_NAME.
function(baton_planted_layer name)
  get_target_property(sources baton_${name} SOURCES)
  get_property(planted GLOBAL PROPERTY baton_planted_files)
  set(copies "")
  foreach(source ${sources})
    cmake_path(GET source FILENAME stem)
    set(file src/${name}/${stem})
    if(file IN_LIST planted)
      get_property(text GLOBAL PROPERTY baton_planted_${file})
      baton_write_if_different(${baton_planted_dir}/${file}
        "#include \"tests/simulation/plants/planted.h\"\n${text}")
      list(APPEND copies ${baton_planted_dir}/${file})
    else()
      list(APPEND copies ${PROJECT_SOURCE_DIR}/${file})
    endif()
  endforeach()
  add_library(baton_planted_${name} STATIC ${copies})
  get_target_property(links baton_${name} LINK_LIBRARIES)
  target_link_libraries(baton_planted_${name} PRIVATE ${links} PUBLIC baton_compile_options)
  baton_precompile(baton_planted_${name} library)
endfunction()

include(${CMAKE_CURRENT_LIST_DIR}/plants.cmake)

get_property(baton_plant_rows GLOBAL PROPERTY baton_plant_rows)
baton_write_if_different(${baton_planted_dir}/all_plants.cc
"#include \"tests/simulation/plants/planted.h\"

namespace baton::simulation {

std::span<const Plant> all_plants() {
  static constexpr Plant kPlants[] = {
${baton_plant_rows}  };
  return kPlants;
}

}  // namespace baton::simulation
")
foreach(layer proxy receiver sender)
  baton_planted_layer(${layer})
endforeach()
