# cmake --install: the command, the libraries, the headers, and what find_package(qing) reads.
include(CMakePackageConfigHelpers)

set(QING_LIBRARIES qing_tensor qing_autograd qing_nn qing_optim qing_serve)
install(TARGETS ${QING_LIBRARIES} EXPORT qingTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS qing_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
foreach(folder tensor autograd nn optim serve)
  install(DIRECTORY ${folder}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/qing/${folder}
          FILES_MATCHING PATTERN "*.h"
          PATTERN "cli" EXCLUDE PATTERN "sdk" EXCLUDE PATTERN "vec_*.h" EXCLUDE PATTERN "tables.h" EXCLUDE
          PATTERN "node.h" EXCLUDE)
endforeach()

set(QING_CONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/qing)
install(EXPORT qingTargets NAMESPACE qing:: DESTINATION ${QING_CONFIG_DIR})
configure_package_config_file(cmake/qingConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/qingConfig.cmake
                              INSTALL_DESTINATION ${QING_CONFIG_DIR})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/qingConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/qingConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/qingConfigVersion.cmake
        DESTINATION ${QING_CONFIG_DIR})
