# qing_table(target folder template prefix signature): adds to the target a source file made of the template, with one
# function for each .cpp of the folder. A new file needs no other mention.
#   template   the file in which @TABLE_DECLARATIONS@ and @TABLE_NAMES@ are replaced
#   prefix     the function of X.cpp is named prefix and X
#   signature  its declaration, with NAME for its name
function(qing_table target folder template prefix signature)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp)
  set(entries)
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    list(APPEND entries ${name})
  endforeach()
  qing_table_of("${entries}" ${target} ${template} "${prefix}" "${signature}")
endfunction()

# qing_folder_table(...): the same with one function for each folder NAME of the folder that has a NAME.cpp.
function(qing_folder_table target folder template prefix signature)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*/*.cpp)
  set(entries)
  foreach(source ${sources})
    get_filename_component(place ${source} DIRECTORY)
    get_filename_component(name ${place} NAME)
    if(EXISTS ${place}/${name}.cpp)
      list(APPEND entries ${name})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES entries)
  qing_table_of("${entries}" ${target} ${template} "${prefix}" "${signature}")
endfunction()

function(qing_table_of entries target template prefix signature)
  set(TABLE_DECLARATIONS)
  set(names)
  foreach(name ${entries})
    list(APPEND names ${prefix}${name})
    string(REPLACE NAME ${prefix}${name} declaration "${signature}")
    string(APPEND TABLE_DECLARATIONS "${declaration};\n")
  endforeach()
  list(JOIN names ", " TABLE_NAMES)
  get_filename_component(made ${template} NAME_WLE)
  configure_file(${CMAKE_CURRENT_SOURCE_DIR}/${template} ${CMAKE_CURRENT_BINARY_DIR}/${made} @ONLY)
  target_sources(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/${made})
endfunction()
