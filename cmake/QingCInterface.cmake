# libqing.so, the C interface. It contains the parts of qing that it needs and exports only qing_*.
set(dir ${CMAKE_CURRENT_SOURCE_DIR}/serve/capi)
add_library(qing_c SHARED ${dir}/qing.cpp)
set_source_files_properties(${dir}/qing.cpp PROPERTIES COMPILE_DEFINITIONS QING_VERSION="${PROJECT_VERSION}")
target_link_libraries(qing_c PRIVATE qing_nn qing_flags)
# The number of the interface, QING_ABI_VERSION.
set_target_properties(qing_c PROPERTIES OUTPUT_NAME qing SOVERSION 1 VERSION 1.${PROJECT_VERSION} DEFINE_SYMBOL ""
                      INSTALL_RPATH "$ORIGIN" LINK_DEPENDS ${dir}/qing.map)
target_link_options(qing_c PRIVATE -Wl,--version-script=${dir}/qing.map -Wl,--gc-sections -Wl,--as-needed -Wl,-z,defs)

if(QING_INSTALL)
  file(RELATIVE_PATH PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  configure_file(${dir}/qing-c.pc.in ${CMAKE_CURRENT_BINARY_DIR}/qing.pc @ONLY)
  install(TARGETS qing_c LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT capi)
  install(FILES ${dir}/qing.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT capi)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/qing.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT capi)
endif()
