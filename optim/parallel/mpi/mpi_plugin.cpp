// A library of its own for each MPI. See mpi_plugin.h.
#include <qing/optim/parallel/mpi/mpi_plugin.h>

#include <mpi.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int kTag = 1;
// Messages travel in pieces of at most this size, which is below the eager limit of Open MPI over TCP (64 KiB). Larger
// ones wait until the receiver agrees (rendezvous). Over a link of 100 Mbit/s only one of two ranks then sent, half of
// the time: a step took 245 ms instead of 192.
constexpr size_t kPieceBytes = 60'000;
// A waiting rank gives up its core at once. It sleeps when it has waited for long, or when a yield took long, because
// then another thread uses the core. A thread that sleeps gets the core soon after it wakes. One that yields waits for
// the end of the other's time slice.
constexpr int kYields = 200;
constexpr std::chrono::microseconds kLongYield{50};
constexpr long kNapNanoseconds = 50'000;

std::string failure;

const char* failed(const char* what, int code) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  failure = std::string(what) + ": " + std::string(text, static_cast<size_t>(length));
  return failure.c_str();
}

// Open MPI says "Open MPI v4.1.4, package: ...", and MPICH "MPICH Version:\t4.0.2\nMPICH Release date:...".
const char* library() {
  static std::string name;
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  name.clear();
  for (const char c : std::string_view(text, static_cast<size_t>(length))) {
    if (c == ',' || c == '\n') break;
    const bool blank = c == ' ' || c == '\t';
    if (!blank || !name.ends_with(' ')) name += blank ? ' ' : c;
  }
  if (const size_t word = name.find(" Version:"); word != std::string::npos) name.erase(word, 9);
  return name.c_str();
}

const char* start(int* rank, int* size) {
  int given = MPI_THREAD_SINGLE;
  if (const int code = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &given); code != MPI_SUCCESS) {
    return failed("MPI_Init_thread", code);
  }
  if (given < MPI_THREAD_SERIALIZED) return "MPI does not let several threads call it in turn (MPI_THREAD_SERIALIZED)";
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, rank);
  MPI_Comm_size(MPI_COMM_WORLD, size);
  return nullptr;
}

// Calls begin(bytes, count, peer, request) for the pieces of all messages.
template <class Begin>
int begin_all(const QingMpiMessage* messages, size_t count, std::vector<MPI_Request>& requests, const Begin& begin) {
  for (size_t i = 0; i < count; ++i) {
    size_t at = 0;
    do {
      const size_t piece = std::min(messages[i].size - at, kPieceBytes);
      requests.push_back(MPI_REQUEST_NULL);
      const int code = begin(static_cast<char*>(messages[i].bytes) + at, static_cast<int>(piece), messages[i].peer,
                             &requests.back());
      if (code != MPI_SUCCESS) return code;
      at += piece;
    } while (at < messages[i].size);
  }
  return MPI_SUCCESS;
}

const char* exchange(const QingMpiMessage* out, size_t outs, const QingMpiMessage* in, size_t ins) {
  std::vector<MPI_Request> requests;
  int code = begin_all(in, ins, requests, [](char* bytes, int count, int peer, MPI_Request* request) {
    return MPI_Irecv(bytes, count, MPI_BYTE, peer, kTag, MPI_COMM_WORLD, request);
  });
  if (code == MPI_SUCCESS) {
    code = begin_all(out, outs, requests, [](char* bytes, int count, int peer, MPI_Request* request) {
      return MPI_Isend(bytes, count, MPI_BYTE, peer, kTag, MPI_COMM_WORLD, request);
    });
  }
  int done = 0;
  bool crowded = false;  // another thread uses the core
  for (int waited = 0; code == MPI_SUCCESS && done == 0; ++waited) {
    code = MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE);
    if (done != 0 || code != MPI_SUCCESS) break;
    if (!crowded && waited < kYields) {
      const auto before = std::chrono::steady_clock::now();
      sched_yield();
      crowded = std::chrono::steady_clock::now() - before > kLongYield;
    } else {
      const timespec nap{0, kNapNanoseconds};
      nanosleep(&nap, nullptr);
    }
  }
  return code == MPI_SUCCESS ? nullptr : failed("MPI exchange", code);
}

const char* stop() {
  const int code = MPI_Finalize();
  return code == MPI_SUCCESS ? nullptr : failed("MPI_Finalize", code);
}

void end_all(int code) {
  std::fflush(nullptr);
  MPI_Abort(MPI_COMM_WORLD, code);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const QingMpi* qing_mpi() {
  static const QingMpi table = {kQingMpiVersion, library, start, exchange, stop, end_all};
  return &table;
}
