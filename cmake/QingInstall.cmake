# cmake --install installs the command, and for each library a component of the same name with the static or shared library,
# the headers, the targets for find_package(qing), and a file for pkg-config. No installed file holds an absolute path.
include(CMakePackageConfigHelpers)

set(QING_CONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/qing)
set(QING_PKGCONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
set(config_files ${CMAKE_CURRENT_BINARY_DIR}/qingConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/qingConfigVersion.cmake)
configure_package_config_file(cmake/qingConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/qingConfig.cmake
                              INSTALL_DESTINATION ${QING_CONFIG_DIR})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/qingConfigVersion.cmake COMPATIBILITY SameMinorVersion)

# The pkg-config form of a private dependency: the name of a module, or a linker option.
set(pkgconfig_fmt::fmt fmt)
set(pkgconfig_PkgConfig::UTF8PROC libutf8proc)
set(pkgconfig_PkgConfig::LIBZIP libzip)
set(pkgconfig_PkgConfig::EXPAT expat)
set(pkgconfig_PkgConfig::LIBPNG libpng)
set(pkgconfig_PkgConfig::LIBJPEG libjpeg)
set(pkgconfig_PkgConfig::ZLIB zlib)
set(pkgconfig_PkgConfig::XLSXWRITER xlsxwriter)
set(pkgconfig_OpenSSL::Crypto libcrypto)
set(pkgconfig_OpenSSL::SSL libssl)
set(pkgconfig_SQLite::SQLite3 sqlite3)
set(pkgconfig_LibArchive::LibArchive libarchive)
set(pkgconfig_Boost::json -lboost_json)
set(pkgconfig_Boost::headers -lpthread)
set(pkgconfig_Threads::Threads -lpthread)
set(pkgconfig_dl -ldl)
set(pkgconfig_OpenMP::OpenMP_CXX)
foreach(name ${OpenMP_CXX_LIB_NAMES})
  list(APPEND pkgconfig_OpenMP::OpenMP_CXX -l${name})
endforeach()

# qing_pkgconfig(folder): writes qing-<folder>.pc into the build folder.
function(qing_pkgconfig folder)
  set(PC_NAME ${folder})
  set(modules)
  set(options)
  get_target_property(linked qing_${folder} LINK_LIBRARIES)
  foreach(library ${linked})
    if(library MATCHES "^qing_(.*)")
      list(APPEND PC_REQUIRES "qing-${CMAKE_MATCH_1} = ${PROJECT_VERSION}")
    elseif(library MATCHES "BUILD_INTERFACE")
      continue()
    elseif(NOT DEFINED pkgconfig_${library})
      message(FATAL_ERROR "cmake/QingInstall.cmake: say what ${library}, which qing_${folder} links, is to pkg-config")
    elseif(pkgconfig_${library} MATCHES "^-l")
      list(APPEND options ${pkgconfig_${library}})
    else()
      list(APPEND modules ${pkgconfig_${library}})
    endif()
  endforeach()
  # Users of a static library link its dependencies. A shared library brings them itself.
  if(NOT BUILD_SHARED_LIBS)
    list(APPEND PC_REQUIRES ${modules})
    list(JOIN options " " PC_LIBS)
  endif()
  list(JOIN PC_REQUIRES ", " PC_REQUIRES)
  file(RELATIVE_PATH PC_PREFIX /${QING_PKGCONFIG_DIR} /)
  configure_file(cmake/qing.pc.in ${CMAKE_CURRENT_BINARY_DIR}/qing-${folder}.pc @ONLY)
endfunction()

foreach(folder ${QING_FOLDERS})
  install(TARGETS qing_${folder} EXPORT qing_${folder}
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${folder}
          LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${folder})
  install(DIRECTORY ${folder}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/qing/${folder} COMPONENT ${folder}
          FILES_MATCHING PATTERN "*.h"
          PATTERN "cli" EXCLUDE PATTERN "capi" EXCLUDE PATTERN "mpi" EXCLUDE PATTERN "protocols" EXCLUDE PATTERN "sdk" EXCLUDE
          PATTERN "vec_*.h" EXCLUDE
          PATTERN "tables.h" EXCLUDE PATTERN "node.h" EXCLUDE PATTERN "view_history.h" EXCLUDE
          PATTERN "anomaly.h" EXCLUDE PATTERN "*_detail.h" EXCLUDE PATTERN "training_watch.h" EXCLUDE
          PATTERN "defined.h" EXCLUDE PATTERN "forgotten_layers.h" EXCLUDE PATTERN "forgotten_parts.h" EXCLUDE
          PATTERN "loops.h" EXCLUDE PATTERN "reduce_lanes.h" EXCLUDE PATTERN "direct_convolution.h" EXCLUDE
          PATTERN "attention_graph.h" EXCLUDE PATTERN "layers/check.h" EXCLUDE
          PATTERN "config_reader.h" EXCLUDE PATTERN "encoder_config_json.h" EXCLUDE PATTERN "task_config.h" EXCLUDE
          PATTERN "generation_config.h" EXCLUDE PATTERN "sentence_modules.h" EXCLUDE
          PATTERN "json_cursor.h" EXCLUDE PATTERN "pipeline_reader.h" EXCLUDE
          PATTERN "zipped_xml.h" EXCLUDE PATTERN "table_layout.h" EXCLUDE
          PATTERN "single_byte_guess.h" EXCLUDE PATTERN "sheet_rows.h" EXCLUDE
          PATTERN "tokenizer_settings.h" EXCLUDE PATTERN "transformers_folder.h" EXCLUDE
          PATTERN "translation_tokenizers.h" EXCLUDE)
  install(EXPORT qing_${folder} FILE qing-${folder}.cmake NAMESPACE qing:: DESTINATION ${QING_CONFIG_DIR}
          COMPONENT ${folder})
  install(FILES ${config_files} DESTINATION ${QING_CONFIG_DIR} COMPONENT ${folder})
  qing_pkgconfig(${folder})
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/qing-${folder}.pc DESTINATION ${QING_PKGCONFIG_DIR} COMPONENT ${folder})
endforeach()

if(TARGET qing_c)
  install(FILES ${config_files} DESTINATION ${QING_CONFIG_DIR} COMPONENT capi)
endif()

# One header for all layers that are installed.
install(FILES cmake/include/qing/qing.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/qing COMPONENT tensor)

if(TARGET qing_command)
  file(RELATIVE_PATH libraries /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
  set_target_properties(qing_command PROPERTIES INSTALL_RPATH "$ORIGIN/${libraries}")
  install(TARGETS qing_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT command)
  install(DIRECTORY serve/models/ DESTINATION share/qing/models COMPONENT command PATTERN "*.toml" EXCLUDE
          PATTERN ".registry*" EXCLUDE)  # a server's record of what it serves
endif()
