# Libraries that Baton stands on. All but llama.cpp are Debian 12 packages (scripts/packages.txt).

find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(libzmq REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(libsodium REQUIRED IMPORTED_TARGET libsodium)
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
