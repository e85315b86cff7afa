# What makes a build faster without making the program slower: precompiled headers, less optimization where the time of the
# code does not matter, and united source files. With -DCMAKE_UNITY_BUILD=ON, CMake compiles several files as one. This
# takes half of the time from scratch, and more after a change. examples/quickstart.sh does so.

# Headers that most source files of the libraries include.
set(QING_COMMON_HEADERS <algorithm> <array> <atomic> <bit> <charconv> <chrono> <cmath> <cstdint> <cstring> <filesystem>
    <functional> <limits> <map> <memory> <mutex> <numeric> <optional> <set> <span> <string> <string_view> <tuple>
    <type_traits> <unordered_map> <utility> <variant> <vector> <fmt/format.h>)

# qing_precompile(target HEADER... | target REUSE_FROM other): precompiles the headers for the target, or gives it those of
# another target with the same compiler flags, which then has to be built before. Only headers of other projects belong
# there: a change of one of qing's would compile everything again.
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

# qing_sources_in(variable PLACE...): sets the variable to the given source files and those in the given folders.
function(qing_sources_in variable)
  set(all)
  foreach(place ${ARGN})
    set(found ${CMAKE_CURRENT_SOURCE_DIR}/${place})
    if(IS_DIRECTORY ${found})
      file(GLOB found CONFIGURE_DEPENDS ${found}/*.cpp)
    endif()
    list(APPEND all ${found})
  endforeach()
  set(${variable} ${all} PARENT_SCOPE)
endfunction()

# Compiles the places with less optimization. CMake never unites such files with others.
function(qing_optimize_less)
  qing_sources_in(sources ${ARGN})
  set_property(SOURCE ${sources} APPEND PROPERTY COMPILE_OPTIONS ${QING_LESS_OPTIMIZATION})
endfunction()

# Never unites the places with other files: they are alike, down to the names in their anonymous namespaces.
function(qing_compile_alone)
  qing_sources_in(sources ${ARGN})
  set_property(SOURCE ${sources} PROPERTY SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
