# parity_runner runs the rows of tests/parity. A script writes their C++ from the table.
find_package(Python3 REQUIRED COMPONENTS Interpreter)

set(parity_folder ${CMAKE_CURRENT_SOURCE_DIR}/tests/parity)
set(generated_folder ${CMAKE_CURRENT_BINARY_DIR}/parity)
file(GLOB parity_scripts CONFIGURE_DEPENDS ${parity_folder}/*.py)
set(parity_sources)
foreach(name wrong families page)
  list(APPEND parity_sources ${generated_folder}/parity_${name}.cpp)
endforeach()
foreach(script ${parity_scripts})
  if(script MATCHES "/rows_([a-z_]+)\\.py$")
    list(APPEND parity_sources ${generated_folder}/parity_${CMAKE_MATCH_1}.cpp)
  endif()
endforeach()
# The script does not rewrite unchanged sources. The stamp file records that it ran.
add_custom_command(OUTPUT ${generated_folder}/stamp BYPRODUCTS ${parity_sources}
  COMMAND ${CMAKE_COMMAND} -E env PYTHONDONTWRITEBYTECODE=1
          ${Python3_EXECUTABLE} ${parity_folder}/generate.py ${generated_folder}
  COMMAND ${CMAKE_COMMAND} -E touch ${generated_folder}/stamp
  DEPENDS ${parity_scripts} VERBATIM)
add_custom_target(parity_sources DEPENDS ${generated_folder}/stamp)

add_executable(parity_runner ${parity_folder}/runner.cpp ${parity_sources})
add_dependencies(parity_runner parity_sources)
target_link_libraries(parity_runner PRIVATE qing_optim qing_flags)
target_include_directories(parity_runner PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/tests)
# These sources have calls but no loops, so optimization is not worth its time.
target_compile_options(parity_runner PRIVATE -O0)
# Every source includes these. qing's own headers are among them, because all the sources are made again anyway when the
# rows change, and else compiling is parsing these headers.
qing_precompile(parity_runner <qing/autograd/autograd.h> <qing/autograd/ops.h> <qing/nn/layers/layers.h>)
