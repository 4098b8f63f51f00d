# libbaton.so: the layers that PdBackend stands on, in one shared library. Its objects are those of
# the static libraries, so nothing is compiled twice.

set(libbaton_layers base memory security config wire transport control sender receiver backend)
list(TRANSFORM libbaton_layers REPLACE "(.+)" "$<TARGET_OBJECTS:baton_\\1>" OUTPUT_VARIABLE objects)
add_library(baton_shared SHARED ${objects})
add_library(baton::baton ALIAS baton_shared)

# Before 1.0 a minor version may break what programs were linked with: docs/abi.md.
set(abi_version ${PROJECT_VERSION_MAJOR})
if(abi_version EQUAL 0)
  set(abi_version 0.${PROJECT_VERSION_MINOR})
endif()
set_target_properties(baton_shared PROPERTIES
  OUTPUT_NAME baton
  EXPORT_NAME baton
  VERSION ${PROJECT_VERSION}
  SOVERSION ${abi_version}
  LINKER_LANGUAGE CXX
  LINK_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/libbaton.map)
target_link_options(baton_shared PRIVATE
  LINKER:--version-script=${CMAKE_CURRENT_LIST_DIR}/libbaton.map
  LINKER:--no-undefined LINKER:--as-needed)
if(NOT BATON_INSTALL)
  set_target_properties(baton_shared PROPERTIES EXCLUDE_FROM_ALL ON)
endif()
target_compile_features(baton_shared INTERFACE cxx_std_20)
target_include_directories(baton_shared INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
# The public headers have Abseil's Status and AnyInvocable in them.
target_link_libraries(baton_shared
  PUBLIC absl::status absl::statusor absl::any_invocable
  PRIVATE $<BUILD_INTERFACE:baton_backend>)  # for the libraries that the layers stand on
