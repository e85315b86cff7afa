# qing_python_code(target CODE TEMPLATE): the Python file CODE as a source file of a library. TEMPLATE is a .cpp.in in which
# @PYTHON_LITERAL@ stands for the code as a string literal.
function(qing_python_code target code template)
  set(dir ${CMAKE_CURRENT_SOURCE_DIR})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${dir}/${code})
  file(READ ${dir}/${code} text)
  set(PYTHON_LITERAL "R\"qing_code(${text})qing_code\"")
  get_filename_component(name ${template} NAME_WLE)
  configure_file(${dir}/${template} ${CMAKE_CURRENT_BINARY_DIR}/${name} @ONLY)
  target_sources(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/${name})
endfunction()
