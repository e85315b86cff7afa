// Storing and removing a file while the n-th write, fsync or rename fails, and while the process is killed at it, for
// every n. Afterwards each record has its bytes and each file its record. Exits with 0 when that is so.
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <qing/serve/files/file_store.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

#include "nn/temp_folder.h"

namespace {

enum class Fault { kNone, kError, kKill };
std::atomic<Fault> fault{Fault::kNone};
std::atomic<int> left{0};    // calls before the one that fails
std::atomic<int> failed{0};  // calls that failed

// Whether this call fails.
bool fails() {
  if (fault == Fault::kNone || left-- > 0) return false;
  if (fault == Fault::kKill) _exit(9);
  if (failed++ > 0) return false;  // one call only
  errno = EIO;
  return true;
}

template <class Function> Function next(const char* name) { return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name)); }

}  // namespace

// These take the place of the C library's functions, in SQLite's library too.
extern "C" {
ssize_t write(int fd, const void* bytes, size_t size) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
  return fd > 2 && fails() ? -1 : real(fd, bytes, size);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  return fails() ? -1 : real(fd, bytes, size, at);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) {
  static const auto real = next<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64");
  return fails() ? -1 : real(fd, bytes, size, at);
}
int fsync(int fd) {
  static const auto real = next<int (*)(int)>("fsync");
  return fails() ? -1 : real(fd);
}
int fdatasync(int fd) {
  static const auto real = next<int (*)(int)>("fdatasync");
  return fails() ? -1 : real(fd);
}
int rename(const char* from, const char* to) {
  static const auto real = next<int (*)(const char*, const char*)>("rename");
  return fails() ? -1 : real(from, to);
}
}

namespace {

namespace fs = std::filesystem;
using qing::serve::Database;
using qing::serve::FileStore;
using qing::serve::State;
using qing::serve::StoredFile;
using qing::serve::Upload;

constexpr std::string_view kRows = "label\ttext\npositive\tgood\nnegative\tbad\n";
constexpr std::uint64_t kPlenty = 1 << 30;
enum class Act { kCreate, kRemove };

[[noreturn]] void complain(const std::string& what) {
  std::fprintf(stderr, "store_faults: %s\n", what.c_str());
  std::exit(1);
}

StoredFile put(FileStore& store, const State& state) {
  Upload upload(state.files());
  upload.write(kRows.substr(0, 20));
  upload.write(kRows.substr(20));
  return store.create({"default", "a.tsv", "fine-tune"}, upload, kPlenty);
}

// Whether the act succeeded. An error must be an IoError.
bool act(const State& state, Act what, const std::string& victim) {
  try {
    Database database = state.open();
    FileStore store(database, state);
    if (what == Act::kCreate) {
      put(store, state);
    } else if (!store.remove("default", victim)) {
      complain("the file to remove is not there");
    }
    return true;
  } catch (const qing::IoError&) { return false; }
}

// `kept` is a file that the act does not touch; there are from `least` to `most` files. An error leaves nothing to
// clean, a killed process may.
void check(const State& state, Fault how, const std::string& kept, size_t least, size_t most,
           const std::string& where) {
  Database database = state.open();
  FileStore store(database, state);
  if (how == Fault::kKill) store.clean();
  const auto files = store.list("default", {}).files;
  if (files.size() < least || files.size() > most) complain(where + ": " + std::to_string(files.size()) + " files");
  std::vector<std::string> names, ids;
  for (const auto& entry : fs::directory_iterator(state.files())) names.push_back(entry.path().filename());
  for (const StoredFile& file : files) {
    ids.push_back(file.id);
    if (qing::read_file(store.content(file.id)) != kRows) complain(where + ": the bytes of a record are torn");
  }
  std::sort(names.begin(), names.end());
  std::sort(ids.begin(), ids.end());
  if (names != ids) complain(where + ": files and records differ");
  if (std::find(ids.begin(), ids.end(), kept) == ids.end()) complain(where + ": another file is gone");
  if (store.used("default") != files.size() * kRows.size()) complain(where + ": the bytes that are kept");
}

// Whether the n-th call was reached.
bool run(Act what, Fault how, int n) {
  const qing::test::TempFolder folder;
  const State state(folder.path() / "state");
  std::string kept, victim;
  {
    Database database = state.open();
    FileStore store(database, state);
    kept = put(store, state).id;
    victim = put(store, state).id;
  }
  const size_t after = what == Act::kCreate ? 3 : 1;  // files, when the act is done
  const std::string where = std::string(what == Act::kCreate ? "create" : "remove") +
                            (how == Fault::kKill ? ", killed at call " : ", failed call ") + std::to_string(n);
  left = n;
  failed = 0;
  if (how == Fault::kError) {
    fault = how;
    const bool done = act(state, what, victim);
    fault = Fault::kNone;
    const size_t files = done ? after : 2;
    check(state, how, kept, files, files, where);
    return failed > 0;
  }
  const pid_t child = fork();
  if (child == 0) {
    fault = how;
    _exit(act(state, what, victim) ? 0 : 1);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) complain(where + ": the child crashed");
  const bool killed = WEXITSTATUS(status) == 9;
  if (!killed && WEXITSTATUS(status) != 0) complain(where + ": an error without a fault");
  check(state, how, kept, killed ? std::min<size_t>(2, after) : after, killed ? std::max<size_t>(2, after) : after,
        where);
  return killed;
}

}  // namespace

int main() {
  constexpr int kMost = 1000;
  for (const Act what : {Act::kCreate, Act::kRemove}) {
    for (const Fault how : {Fault::kError, Fault::kKill}) {
      int n = 0;
      while (n < kMost && run(what, how, n)) ++n;
      if (n < 4 || n == kMost)
        complain("only " + std::to_string(n) + " calls failed; the faults do not reach the store");
      std::printf("%s, %s: %d calls\n", what == Act::kCreate ? "create" : "remove",
                  how == Fault::kKill ? "killed" : "failed", n);
    }
  }
  return 0;
}
