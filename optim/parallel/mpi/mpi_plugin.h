// What the libraries libqing_mpi_openmpi.so and libqing_mpi_mpich.so offer. Each is mpi_plugin.cpp, compiled with the
// headers of its MPI, since the two have different binary interfaces. qing loads one at run time, so that it starts
// without MPI. The functions return null, or a text that says what failed and stays valid until the next call. One
// thread at a time may call them.
#pragma once

#include <stddef.h>

extern "C" {

struct QingMpiMessage {
  int peer;
  void* bytes;
  size_t size;
};

struct QingMpi {
  int version;               // kQingMpiVersion of the library
  const char* (*library)();  // the name and version of the MPI library
  const char* (*start)(int* rank, int* size);
  // Sends and receives. Returns when all is done.
  const char* (*exchange)(const QingMpiMessage* out, size_t outs, const QingMpiMessage* in, size_t ins);
  const char* (*stop)();
  void (*end_all)(int code);  // ends the processes of all ranks; does not return
};

// Of the name kQingMpiEntry.
typedef const QingMpi* (*QingMpiEntry)();

}  // extern "C"

inline constexpr int kQingMpiVersion = 1;
inline constexpr const char* kQingMpiEntry = "qing_mpi";
