# Python and pybind11 for the module in python/: sets BATON_PYTHON_FOUND, and says why not.
#
# The sanitizers' builds go without it: Python itself isn't instrumented, the sanitizer's library
# would have to be preloaded into it, and LeakSanitizer then reports what the interpreter keeps.
set(BATON_PYTHON_FOUND FALSE)
if(NOT BATON_WITH_PYTHON)
  return()
endif()
if(BATON_SANITIZER OR BATON_FUZZ)
  message(STATUS "Python module: not with a sanitizer")
  return()
endif()
# Debian's, for which Debian's pybind11 and NumPy are; another one may stand first in PATH.
if(NOT Python_EXECUTABLE AND EXISTS /usr/bin/python3)
  set(Python_EXECUTABLE /usr/bin/python3)
endif()
find_package(Python 3.9 COMPONENTS Interpreter Development.Module)
find_package(pybind11 2.10 CONFIG)
if(Python_FOUND AND pybind11_FOUND)
  message(STATUS "Python module: for ${Python_EXECUTABLE} (${Python_VERSION})")
  set(BATON_PYTHON_FOUND TRUE)
else()
  message(STATUS "Python module: not built; needs Python's headers and pybind11 (python3-dev, pybind11-dev)")
endif()
