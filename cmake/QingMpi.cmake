# libqing_mpi_openmpi.so and libqing_mpi_mpich.so: one small source file, compiled with the headers of each MPI of QING_MPI
# that is installed. The command loads one of them when mpirun started it, so it starts without MPI too.
set(plugin ${CMAKE_CURRENT_SOURCE_DIR}/optim/parallel/mpi/mpi_plugin.cpp)
set(module_openmpi ompi-c)
set(module_mpich mpich)
foreach(mpi ${QING_MPI})
  if(NOT DEFINED module_${mpi})
    message(FATAL_ERROR "QING_MPI is \"${QING_MPI}\"; it is a list of openmpi and mpich")
  endif()
  pkg_check_modules(QING_${mpi} QUIET IMPORTED_TARGET ${module_${mpi}})
  if(NOT QING_${mpi}_FOUND)
    continue()
  endif()
  add_library(qing_mpi_${mpi} MODULE ${plugin})
  # Open MPI's old C++ interface is not used, and its headers warn.
  target_compile_definitions(qing_mpi_${mpi} PRIVATE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
  target_include_directories(qing_mpi_${mpi} PRIVATE ${QING_INCLUDE_DIR})
  target_link_libraries(qing_mpi_${mpi} PRIVATE PkgConfig::QING_${mpi} qing_flags)
  # Beside the command, where it looks for them.
  set_target_properties(qing_mpi_${mpi} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR} UNITY_BUILD OFF)
  if(QING_INSTALL)
    install(TARGETS qing_mpi_${mpi} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT command)
  endif()
endforeach()
