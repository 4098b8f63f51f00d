# `cmake --install`: libbaton.so, the headers, the `baton` command, and how others find them.
# Components: library, development, command, and python (python/CMakeLists.txt).
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/baton)
install(TARGETS baton_shared EXPORT baton
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    COMPONENT library NAMELINK_COMPONENT development)
install(DIRECTORY include/baton TYPE INCLUDE COMPONENT development FILES_MATCHING PATTERN "*.h")
install(TARGETS baton_command RUNTIME COMPONENT command)

install(EXPORT baton FILE baton-targets.cmake NAMESPACE baton:: DESTINATION ${package_dir}
  COMPONENT development)
configure_package_config_file(cmake/baton-config.cmake.in ${PROJECT_BINARY_DIR}/baton-config.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(compatibility SameMinorVersion)
else()
  set(compatibility SameMajorVersion)
endif()
write_basic_package_version_file(${PROJECT_BINARY_DIR}/baton-config-version.cmake
  COMPATIBILITY ${compatibility})
install(FILES ${PROJECT_BINARY_DIR}/baton-config.cmake ${PROJECT_BINARY_DIR}/baton-config-version.cmake
  DESTINATION ${package_dir} COMPONENT development)

# pkg-config: the prefix is found from where the file lies, so that the tree can be moved.
file(RELATIVE_PATH baton_prefix_from_pc /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" baton_prefix_from_pc ${baton_prefix_from_pc})
set(BATON_ABSL_VERSION ${absl_VERSION})
configure_file(cmake/baton.pc.in ${PROJECT_BINARY_DIR}/baton.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/baton.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT development)

# All that is installed, and none of the tests.
add_custom_target(installable DEPENDS baton_shared baton_command)
if(TARGET baton_python)
  add_dependencies(installable baton_python)
endif()

include(BatonPackages)
