# The Python code of exported Hugging Face directories, as a source file of the library qing_nn.
function(qing_modeling_code)
  set(dir ${CMAKE_CURRENT_SOURCE_DIR}/nn/exports)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${dir}/modeling_qing.py)
  file(READ ${dir}/modeling_qing.py code)
  set(PYTHON_LITERAL "R\"qing_code(${code})qing_code\"")
  configure_file(${dir}/modeling_source.cpp.in ${CMAKE_CURRENT_BINARY_DIR}/modeling_source.cpp @ONLY)
  target_sources(qing_nn PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/modeling_source.cpp)
endfunction()
