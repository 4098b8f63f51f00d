# NIXL (https://github.com/ai-dynamo/nixl), which is optional and in no Debian package.
#
# Included when BATON_WITH_NIXL is ON, before UCX is looked for. NIXL's plug-in for UCX brings a
# libucp.so.0 of its own, as does Debian; a process can hold only one of them. So Baton is then built
# against the very UCX that the plug-in uses, and a mix is an error here rather than at run time.
#
# Makes the target baton::nixl, and lets pkg_check_modules(ucx) find the right one.

set(NIXL_ROOT "" CACHE PATH "Where NIXL is installed; empty: pkg-config's nixl.pc says")

set(hints ${NIXL_ROOT})
if(NOT NIXL_ROOT)
  pkg_check_modules(nixl QUIET nixl)
  if(nixl_FOUND)
    pkg_get_variable(hints nixl prefix)
  endif()
endif()
if(hints)
  # Only there: a second NIXL elsewhere has another UCX.
  find_path(NIXL_INCLUDE_DIR nixl.h HINTS ${hints} PATH_SUFFIXES include NO_DEFAULT_PATH)
  find_library(NIXL_LIBRARY nixl HINTS ${hints} NO_DEFAULT_PATH
    PATH_SUFFIXES lib lib64 lib/${CMAKE_LIBRARY_ARCHITECTURE})
  find_library(NIXL_BUILD_LIBRARY nixl_build HINTS ${hints} NO_DEFAULT_PATH
    PATH_SUFFIXES lib lib64 lib/${CMAKE_LIBRARY_ARCHITECTURE})
endif()
if(NOT NIXL_INCLUDE_DIR OR NOT NIXL_LIBRARY OR NOT NIXL_BUILD_LIBRARY)
  message(FATAL_ERROR "BATON_WITH_NIXL is ON, but NIXL was not found: set NIXL_ROOT to where it is "
    "installed (it is '${NIXL_ROOT}'; include/nixl.h, libnixl.so and libnixl_build.so are needed), or "
    "PKG_CONFIG_PATH to the folder of its nixl.pc; or configure with -DBATON_WITH_NIXL=OFF")
endif()

# NIXL's Python module, which its build may leave out; empty then. The tests use it.
set(nixl_python_dir)
foreach(prefix ${hints})
  file(GLOB found ${prefix}/lib*/python3*/*-packages/nixl*/_bindings*.so
    ${prefix}/lib/*/python3*/*-packages/nixl*/_bindings*.so)
  foreach(module ${found})
    get_filename_component(nixl_python_dir ${module}/../.. ABSOLUTE)
  endforeach()
endforeach()

# Installed programs find the same NIXL and UCX that these do.
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)

get_filename_component(nixl_lib_dir ${NIXL_LIBRARY} DIRECTORY)
set(nixl_plugin ${nixl_lib_dir}/plugins/libplugin_UCX.so)
if(NOT EXISTS ${nixl_plugin})
  message(FATAL_ERROR "NIXL in ${hints} has no UCX plug-in (${nixl_plugin}): build it with UCX")
endif()
execute_process(COMMAND ldd ${nixl_plugin} OUTPUT_VARIABLE nixl_needs RESULT_VARIABLE failed)
if(failed OR NOT nixl_needs MATCHES "libucp[.]so[.]0 => ([^ ]+)")
  message(FATAL_ERROR "Which UCX NIXL's plug-in ${nixl_plugin} uses can't be told by ldd:\n${nixl_needs}")
endif()
get_filename_component(nixl_libucp ${CMAKE_MATCH_1} REALPATH)
get_filename_component(nixl_ucx_lib_dir ${nixl_libucp} DIRECTORY)
set(ENV{PKG_CONFIG_PATH} "${nixl_ucx_lib_dir}/pkgconfig:$ENV{PKG_CONFIG_PATH}")

# After pkg_check_modules(ucx): is it that one?
function(baton_check_ucx_of_nixl)
  find_library(ucp_of_baton ucp HINTS ${ucx_LIBRARY_DIRS} ${ucx_LIBDIR} NO_DEFAULT_PATH NO_CACHE)
  get_filename_component(ucp_of_baton "${ucp_of_baton}" REALPATH)
  if(NOT ucp_of_baton STREQUAL nixl_libucp)
    message(FATAL_ERROR "NIXL's plug-in uses ${nixl_libucp}, Baton would use '${ucp_of_baton}': they "
      "can't be in one process. Set PKG_CONFIG_PATH to the folder of that UCX's ucx.pc, and remove "
      "${CMAKE_BINARY_DIR}/CMakeCache.txt")
  endif()
  message(STATUS "NIXL: ${NIXL_LIBRARY}, with UCX ${ucx_VERSION} in ${nixl_ucx_lib_dir}")
endfunction()

# Imported: its headers are system headers. Full paths put the directories into the RPATH of every
# program that links them.
add_library(baton::nixl INTERFACE IMPORTED GLOBAL)
target_include_directories(baton::nixl INTERFACE ${NIXL_INCLUDE_DIR})
target_link_libraries(baton::nixl INTERFACE ${NIXL_LIBRARY} ${NIXL_BUILD_LIBRARY})
