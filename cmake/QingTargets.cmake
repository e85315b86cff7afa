# The libraries to build. Each needs all earlier ones.
set(QING_FOLDERS tensor autograd nn optim serve)
list(FIND QING_FOLDERS "${QING_UP_TO}" top)
if(top EQUAL -1)
  message(FATAL_ERROR "QING_UP_TO is \"${QING_UP_TO}\"; it has to be one of ${QING_FOLDERS}")
endif()
math(EXPR top "${top} + 1")
list(SUBLIST QING_FOLDERS 0 ${top} QING_FOLDERS)

# The project's headers are included as <qing/folder/file.h>. A tree of links gives the source folders that prefix. It is
# part of the sources, and compile_flags.txt names it, so that editors find the headers before the first build.
set(QING_INCLUDE_DIR ${CMAKE_CURRENT_SOURCE_DIR}/cmake/include)

add_library(qing_flags INTERFACE)
target_compile_options(qing_flags INTERFACE -Wall -Wextra -Wpedantic -ffp-contract=off -fno-semantic-interposition
  # g++ 12 gives a false warning for "literal" + std::string (GCC bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  # In united files it inlines more and gives it in two other forms, and takes their anonymous namespaces for a header's.
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<BOOL:${CMAKE_UNITY_BUILD}>>:-Wno-stringop-overflow;-Wno-array-bounds;-Wno-subobject-linkage>)
if(QING_SANITIZE)
  target_compile_options(qing_flags INTERFACE -fsanitize=${QING_SANITIZE} -fno-omit-frame-pointer -g)
  target_link_options(qing_flags INTERFACE -fsanitize=${QING_SANITIZE})
endif()

# qing_library(folder PUBLIC ... PRIVATE ...): the library qing_<folder> of every .cpp below the folder, except those of
# the command (cli), of the C interface and of MPI, which are libraries of their own, and the ISA units, which are compiled
# with flags of their own.
function(qing_library folder)
  if(NOT folder IN_LIST QING_FOLDERS)
    return()
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/serve/cli/|/capi/|/parallel/mpi/|/isa_[a-z0-9]+\\.cpp$")
  add_library(qing_${folder} ${sources})
  add_library(qing::${folder} ALIAS qing_${folder})
  target_include_directories(qing_${folder} PUBLIC $<BUILD_INTERFACE:${QING_INCLUDE_DIR}>
                                                   $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(qing_${folder} PUBLIC cxx_std_20)
  target_link_libraries(qing_${folder} PRIVATE $<BUILD_INTERFACE:qing_flags>)
  target_link_libraries(qing_${folder} ${ARGN})
  # With DEFINE_SYMBOL the objects of shared libraries would differ from those of static ones.
  set_target_properties(qing_${folder} PROPERTIES EXPORT_NAME ${folder} VERSION ${PROJECT_VERSION} DEFINE_SYMBOL ""
                        SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} INSTALL_RPATH "$ORIGIN")
  if(BUILD_SHARED_LIBS)
    # Templates of other libraries that qing instantiates are not exported.
    set(map ${CMAKE_CURRENT_SOURCE_DIR}/cmake/exports.map)
    target_link_options(qing_${folder} PRIVATE -Wl,--version-script=${map})
    set_property(TARGET qing_${folder} APPEND PROPERTY LINK_DEPENDS ${map})
  endif()
endfunction()

# Only these units are compiled with ISA flags, so that the binary starts on any x86-64.
function(qing_isa_sources folder)
  set(dir ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/kernels)
  set(scalar_flags)
  set(avx2_flags -mavx2 -mfma)
  # g++ 12 warns about its own AVX-512 intrinsics, which leave a register undefined on purpose.
  set(avx512_flags -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -Wno-uninitialized -Wno-maybe-uninitialized)
  # These units use few of a Vec's functions.
  set(avx512vnni_flags ${avx512_flags} -mavx512vnni -Wno-unused-function)
  set(avx512bf16_flags ${avx512vnni_flags} -mavx512bf16)
  set(amx_flags ${avx512bf16_flags} -mamx-tile -mamx-int8 -mamx-bf16)
  # A sanitizer's checks make these units so large that -O3 takes six times as long as -O1.
  set(optimization -O3)
  if(QING_SANITIZE)
    set(optimization -O1)
  endif()
  set(isas scalar)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(APPEND isas avx2 avx512 avx512vnni avx512bf16 amx)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    list(APPEND isas neon)
  endif()
  foreach(isa ${isas})
    target_sources(qing_${folder} PRIVATE ${dir}/isa_${isa}.cpp)
    set_source_files_properties(${dir}/isa_${isa}.cpp PROPERTIES COMPILE_OPTIONS "${optimization};${${isa}_flags}"
                                                                 SKIP_PRECOMPILE_HEADERS ON)
  endforeach()
endfunction()

# The libraries and flags of a suite.
function(qing_test_flags target)
  target_link_libraries(${target} PRIVATE qing_flags GTest::gtest_main rapidcheck Eigen3::Eigen fmt::fmt)
  # The tested code is in the libraries, which are fully optimized.
  target_compile_options(${target} PRIVATE ${QING_LESS_OPTIMIZATION})
endfunction()

# Precompiles headers for all suites. The target is a program, since the flags of programs differ from those of libraries.
function(qing_test_headers)
  if(QING_PRECOMPILE_HEADERS)
    add_executable(test_headers cmake/precompiled.cpp)
    qing_test_flags(test_headers)
    qing_precompile(test_headers ${QING_COMMON_HEADERS} <gtest/gtest.h>)
  endif()
endfunction()

# Makes the suite test_<folder> from every .cpp in tests/<folder>.
function(qing_test_suite folder)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/tests/${folder}/*.cpp)
  add_executable(test_${folder} ${sources})
  target_link_libraries(test_${folder} PRIVATE qing_${folder})
  qing_test_flags(test_${folder})
  qing_precompile(test_${folder} REUSE_FROM test_headers)
  target_include_directories(test_${folder} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/tests)
  # RapidCheck runs the same cases every time, and more cases than its default.
  gtest_discover_tests(test_${folder} DISCOVERY_TIMEOUT 60
                       PROPERTIES ENVIRONMENT "RC_PARAMS=seed=20261124 max_success=500")
endfunction()

# qing_test_tool(tool folder LIBRARY...) makes the program tests/tools/<tool>.cpp, linked with the library of `folder`, if
# that library is built.
function(qing_test_tool tool folder)
  if(NOT TARGET qing_${folder})
    return()
  endif()
  add_executable(${tool} tests/tools/${tool}.cpp)
  target_link_libraries(${tool} PRIVATE qing_${folder} qing_flags ${ARGN})
  target_include_directories(${tool} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/tests)
endfunction()

# qing_isa_tests(folder filter ISA...) runs the cases of `filter` again on each instruction set below the best one, which
# other runs never choose, and on the given ones. It does nothing if the folder is not built.
function(qing_isa_tests suite filter)
  if(NOT TARGET test_${suite})
    return()
  endif()
  foreach(isa scalar avx2 ${ARGN})
    add_test(NAME ${suite}.on_${isa} COMMAND test_${suite} --gtest_filter=${filter})
    set_tests_properties(${suite}.on_${isa} PROPERTIES ENVIRONMENT QING_ISA=${isa}
                                                       SKIP_REGULAR_EXPRESSION "this CPU has no ${isa}")
  endforeach()
endfunction()

# Unpacks tests/fuzz/corpus/*.tar.xz into the build folder and defines QING_FUZZ_CORPUS as this folder for the target.
function(qing_fuzz_corpus target)
  set(unpacked ${CMAKE_CURRENT_BINARY_DIR}/fuzz_corpus)
  file(MAKE_DIRECTORY ${unpacked})
  file(GLOB archives CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/tests/fuzz/corpus/*.tar.xz)
  set(stamps)
  foreach(archive ${archives})
    get_filename_component(name ${archive} NAME_WE)
    # The folder is removed first, so that inputs which the archive no longer has disappear.
    add_custom_command(OUTPUT ${unpacked}/${name}.stamp
      COMMAND ${CMAKE_COMMAND} -E rm -rf ${unpacked}/${name}
      COMMAND ${CMAKE_COMMAND} -E tar xf ${archive}
      COMMAND ${CMAKE_COMMAND} -E touch ${unpacked}/${name}.stamp
      DEPENDS ${archive} WORKING_DIRECTORY ${unpacked} VERBATIM)
    list(APPEND stamps ${unpacked}/${name}.stamp)
  endforeach()
  target_sources(${target} PRIVATE ${stamps})
  target_compile_definitions(${target} PRIVATE QING_FUZZ_CORPUS="${unpacked}")
endfunction()
