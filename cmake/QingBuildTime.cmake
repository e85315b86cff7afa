# What makes a build faster without making the program slower: precompiled headers, and less optimization where the time of
# the code does not matter.

# Headers that most source files of the libraries include.
set(QING_COMMON_HEADERS <algorithm> <array> <atomic> <bit> <charconv> <chrono> <cmath> <cstdint> <cstring> <filesystem>
    <functional> <limits> <map> <memory> <mutex> <numeric> <optional> <set> <span> <string> <string_view> <tuple>
    <type_traits> <unordered_map> <utility> <variant> <vector> <fmt/format.h>)

# qing_precompile(target HEADER... | target REUSE_FROM other): precompiles the headers for the target, or gives it those of
# another target with the same compiler flags. Only headers of other projects belong there: a change of one of qing's would
# compile everything again.
function(qing_precompile target)
  if(NOT QING_PRECOMPILE_HEADERS OR NOT TARGET ${target})
    return()
  endif()
  if(ARGV1 STREQUAL REUSE_FROM)
    target_precompile_headers(${target} REUSE_FROM ${ARGV2})
  else()
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
  # ccache finds stored objects only with these.
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>
                                           $<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>)
endfunction()

# Half of the compile time of -O3. The results are the same, since no optimization of ours changes floating-point results.
set(QING_LESS_OPTIMIZATION $<$<CONFIG:Release>:-O1>)

# Compiles the given source files, and those in the given folders, with less optimization.
function(qing_optimize_less)
  foreach(place ${ARGN})
    set(found ${CMAKE_CURRENT_SOURCE_DIR}/${place})
    if(IS_DIRECTORY ${found})
      file(GLOB found CONFIGURE_DEPENDS ${found}/*.cpp)
    endif()
    set_property(SOURCE ${found} APPEND PROPERTY COMPILE_OPTIONS ${QING_LESS_OPTIMIZATION})
  endforeach()
endfunction()
