# Libraries that Baton stands on. All but llama.cpp are Debian 12 packages (scripts/packages.txt).

find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(libzmq REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(libsodium REQUIRED IMPORTED_TARGET libsodium)
if(NOT "${BATON_UCX_WITH_NIXL}" STREQUAL "${BATON_WITH_NIXL}")
  # Another UCX may be the right one than in this build folder's last configuration.
  foreach(name __pkg_config_checked_ucx pkgcfg_lib_ucx_ucp pkgcfg_lib_ucx_uct pkgcfg_lib_ucx_ucs
      pkgcfg_lib_ucx_ucm)
    unset(${name} CACHE)
  endforeach()
  set(BATON_UCX_WITH_NIXL "${BATON_WITH_NIXL}" CACHE INTERNAL "For which the UCX was looked for")
endif()
if(BATON_WITH_NIXL)
  include(BatonNixl)
endif()
pkg_check_modules(ucx REQUIRED IMPORTED_TARGET ucx)
if(BATON_WITH_NIXL)
  baton_check_ucx_of_nixl()
endif()
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)

# xxHash has no CMake config in Debian.
find_path(XXHASH_INCLUDE_DIR xxh_x86dispatch.h REQUIRED)
find_library(XXHASH_LIBRARY xxhash REQUIRED)
add_library(xxhash::xxhash UNKNOWN IMPORTED)
set_target_properties(xxhash::xxhash PROPERTIES
  IMPORTED_LOCATION ${XXHASH_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES ${XXHASH_INCLUDE_DIR})

if(BATON_BUILD_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

include(BatonFindPython)

if(BATON_WITH_LLAMA)
  include(FindOrFetchLlama)
endif()
