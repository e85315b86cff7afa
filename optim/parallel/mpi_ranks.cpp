#include <qing/optim/parallel/mpi_ranks.h>

#include <dlfcn.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <qing/optim/parallel/collectives.h>
#include <qing/optim/parallel/mpi/mpi_plugin.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

constexpr int kFailed = 1;

struct LibraryName {
  const char *file, *name, *package;
};
LibraryName name_of(MpiLibrary library) {
  if (library == MpiLibrary::open_mpi) return {"libqing_mpi_openmpi.so", "Open MPI", "libopenmpi-dev"};
  return {"libqing_mpi_mpich.so", "MPICH", "libmpich-dev"};
}

std::string started(const Launch& launch) {
  return fmt::format("{}={} says that this is rank {} of {}", launch.sign, launch.size, launch.rank, launch.size);
}

void write_line(const std::string& text) noexcept {
  // One call, so that the lines of several ranks do not mix.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

struct MpiRanks::Library {
  const QingMpi* table;
};

std::unique_ptr<MpiRanks> MpiRanks::join(const Launch& launch, std::span<const std::filesystem::path> folders) {
  if (launch.library == MpiLibrary::none) {
    throw IoError(
        fmt::format("{}, but srun was not told to connect them; use srun --mpi=pmix with Open MPI, srun --mpi=pmi2 "
                    "with MPICH, or srun -n 1",
                    started(launch)));
  }
  const auto [file, name, package] = name_of(launch.library);
  std::string tried;
  void* handle = nullptr;
  for (const std::filesystem::path& folder : folders) {
    const std::filesystem::path path = folder / file;
    // Global, because the plug-ins of Open MPI look for its symbols in the process.
    handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (handle != nullptr) break;
    tried += fmt::format("\n  {}", dlerror());
  }
  if (handle == nullptr) {
    throw IoError(
        fmt::format("{} of {}, but {} was not loaded:{}\nBuild qing where {} is installed (Debian: {}), or start qing "
                    "without mpirun",
                    started(launch), name, file, tried, name, package));
  }
  const auto entry = reinterpret_cast<QingMpiEntry>(dlsym(handle, kQingMpiEntry));
  const QingMpi* table = entry != nullptr ? entry() : nullptr;
  if (table == nullptr || table->version != kQingMpiVersion) {
    throw IoError(fmt::format("{}: is of another version of qing; install both from the same build", file));
  }
  auto witness = std::make_unique<Witness>();
  int rank = 0, size = 0;
  if (const char* error = table->start(&rank, &size)) throw IoError(fmt::format("{}: {}", name, error));
  if (size != launch.size) {
    throw IoError(
        fmt::format("{}, but {} connects {}; start qing with the mpirun of {}", started(launch), name, size, name));
  }
  auto library = std::make_unique<Library>();
  library->table = table;
  return std::unique_ptr<MpiRanks>(new MpiRanks(rank, size, std::move(library), std::move(witness)));
}

MpiRanks::MpiRanks(int rank, int size, std::unique_ptr<Library> library, std::unique_ptr<Witness> witness)
    : Communicator(rank, size), library_(std::move(library)), witness_(std::move(witness)) {
  RankProcess own = this_process(rank);
  own.witness = witness_->pid();
  std::vector<RankProcess> here;
  for (const std::string& text : all_gather_texts(*this, to_text(own))) {
    const RankProcess process = process_of(text);
    if (process.machine == own.machine) here.push_back(process);
  }
  reporter_ = here.front().witness;
  if (here.front().rank == rank) {
    witness_->watch(here);
  } else {
    witness_.reset();
  }
  // Nobody begins before the witnesses know their ranks.
  barrier(*this);
}

MpiRanks::~MpiRanks() = default;

std::string MpiRanks::library() const { return library_->table->library(); }

void MpiRanks::end_all(int code) const noexcept {
  if (reporter_ > 0) kill(reporter_, SIGKILL);  // the reason is known
  library_->table->end_all(code);
  ::_exit(code);
}

void MpiRanks::fail(const std::string& reason) noexcept {
  write_line(fmt::format("qing: rank {}: error: {}\n", rank(), reason));
  end_all(kFailed);
}

void MpiRanks::close() {
  barrier(*this);
  witness_.reset();
  // Nobody ends before the witnesses have.
  barrier(*this);
  if (const char* error = library_->table->stop()) throw IoError(error);
}

void MpiRanks::transfer(std::span<const Outgoing> out, std::span<const Incoming> in) {
  std::vector<QingMpiMessage> sent, received;
  for (const Outgoing& message : out) {
    sent.push_back({message.to, const_cast<std::byte*>(message.bytes.data()), message.bytes.size()});
  }
  for (const Incoming& message : in) received.push_back({message.from, message.bytes.data(), message.bytes.size()});
  const char* error = library_->table->exchange(sent.data(), sent.size(), received.data(), received.size());
  if (error != nullptr) throw IoError(fmt::format("rank {} of {}: {}", rank(), size(), error));
}

}  // namespace qing::optim
