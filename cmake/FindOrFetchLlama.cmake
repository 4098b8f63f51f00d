# llama.cpp: an installed one if CMake finds it and its interface fits, else the pinned prebuilt.
#
# Makes the target baton::llama (headers are system headers) and sets BATON_LLAMA_BACKEND_DIR, the
# directory of ggml's CPU plug-ins; it is empty when the back ends are linked in.

# True if TARGET offers what src/engine uses; llama.cpp's C interface still moves.
function(baton_llama_fits target result)
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_LIBRARIES ${target})
  check_cxx_source_compiles("
    #include <llama.h>
    int main() {
      llama_context_params params = llama_context_default_params();
      params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
      params.kv_unified = true;
      llama_memory_clear(nullptr, true);
      return llama_state_seq_get_size(nullptr, 0) + llama_model_n_swa(nullptr) == 0;
    }" BATON_LLAMA_FITS_${target})
  set(${result} ${BATON_LLAMA_FITS_${target}} PARENT_SCOPE)
endfunction()

function(baton_use_installed_llama found)
  set(${found} FALSE PARENT_SCOPE)
  find_package(llama CONFIG QUIET GLOBAL)
  if(NOT llama_FOUND)
    return()
  endif()
  baton_llama_fits(llama fits)
  if(NOT fits)
    message(STATUS "llama.cpp in ${LLAMA_LIB_DIR} has another interface than Baton needs: not used")
    return()
  endif()
  message(STATUS "llama.cpp: installed in ${LLAMA_LIB_DIR}")
  add_library(baton_llama INTERFACE)
  # Imported targets' headers are system headers; said again for a llama.cpp built in this tree.
  target_include_directories(baton_llama SYSTEM INTERFACE ${LLAMA_INCLUDE_DIR})
  target_link_libraries(baton_llama INTERFACE llama)
  add_library(baton::llama ALIAS baton_llama)
  set(backend_dir "")
  if(GGML_BACKEND_DL)
    set(backend_dir ${LLAMA_BIN_DIR})
    if(GGML_BACKEND_DIR)
      set(backend_dir ${GGML_BACKEND_DIR})
    endif()
  endif()
  set(BATON_LLAMA_BACKEND_DIR "${backend_dir}" PARENT_SCOPE)
  set(${found} TRUE PARENT_SCOPE)
endfunction()

function(baton_use_prebuilt_llama)
  set(script ${PROJECT_SOURCE_DIR}/scripts/fetch-llama.sh)
  # Quick when the cache is there. Its messages go to the terminal.
  execute_process(COMMAND ${script}
    OUTPUT_VARIABLE dir OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "No llama.cpp: ${script} failed (its messages are above). Install "
      "llama.cpp where CMake finds it, or configure with -DBATON_WITH_LLAMA=OFF.")
  endif()
  message(STATUS "llama.cpp: prebuilt in ${dir}")

  file(GLOB llama_library ${dir}/lib/libllama.v*.so)
  file(GLOB ggml_library ${dir}/lib/libggml.v*.so)
  set(libraries baton_ggml_base ${dir}/lib/libggml-base.so
                baton_ggml ${ggml_library}
                baton_llama ${llama_library})
  while(libraries)
    list(POP_FRONT libraries target file)
    add_library(${target} SHARED IMPORTED GLOBAL)
    # A full path makes CMake put the directory into the RPATH of every program that links it.
    set_target_properties(${target} PROPERTIES
      IMPORTED_LOCATION ${file}
      INTERFACE_INCLUDE_DIRECTORIES ${dir}/include)
  endwhile()
  target_link_libraries(baton_llama INTERFACE baton_ggml baton_ggml_base)
  add_library(baton::llama ALIAS baton_llama)
  set(BATON_LLAMA_BACKEND_DIR ${dir}/lib PARENT_SCOPE)
endfunction()

baton_use_installed_llama(found)
if(NOT found)
  baton_use_prebuilt_llama()
endif()
