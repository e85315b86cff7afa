#include <qing/serve/cli/training_ranks.h>

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <qing/optim/parallel/collectives.h>
#include <qing/optim/parallel/launch.h>
#include <qing/optim/parallel/mpi_ranks.h>
#include <qing/optim/parallel/witness.h>
#include <qing/serve/cli/option_names.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/threads.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kFailure = 1, kUsage = 2;

// Beside the command, as in the build folder, and where it is installed.
std::vector<fs::path> library_folders() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  return {folder, (folder / QING_LIBRARY_FOLDER).lexically_normal()};
}

// One rank as the others see it.
struct Member {
  optim::RankProcess process;
  int threads = 0;
  std::string isa, cpus;  // the instruction set, and the CPUs that the process may use
};

std::string usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::string text;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return "?";
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) text += fmt::format("{},", cpu);
  }
  return text;
}

std::vector<Member> gather(optim::Communicator& ranks, int threads) {
  const std::string own = fmt::format("{} {} {} {}", threads, kernels::name_of(kernels::active_isa()), usable_cpus(),
                                      optim::to_text(optim::this_process(ranks.rank())));
  std::vector<Member> members;
  for (const std::string& text : optim::all_gather_texts(ranks, own)) {
    std::istringstream words(text);
    Member member;
    std::string rest;
    words >> member.threads >> member.isa >> member.cpus;
    std::getline(words, rest);
    member.process = optim::process_of(rest);
    members.push_back(std::move(member));
  }
  return members;
}

bool variable_says_threads() {
  return std::getenv("QING_THREADS") != nullptr || std::getenv("OMP_NUM_THREADS") != nullptr;
}

// Processes that may use the same CPUs divide them: more threads than CPUs would wait for each other.
void divide_threads(optim::Communicator& ranks) {
  const std::vector<Member> members = gather(ranks, num_threads());
  const Member& own = members[static_cast<size_t>(ranks.rank())];
  const auto sharing = std::ranges::count_if(
      members, [&](const Member& other) { return other.process.host == own.process.host && other.cpus == own.cpus; });
  set_num_threads(std::max(1, own.threads / static_cast<int>(sharing)));
}

void introduce(const std::vector<Member>& members, const std::string& library) {
  int here = 0;
  for (const Member& member : members) {
    const optim::RankProcess& process = member.process;
    if (process.host == members.front().process.host) here += member.threads;
    fmt::print(stderr, "rank {} of {}: process {} on {}, {} {} ({})\n", process.rank, members.size(), process.pid,
               process.host, member.threads, member.threads == 1 ? "thread" : "threads", library);
    if (member.isa == members.front().isa) continue;
    fmt::print(stderr,
               "qing: warning: rank {} computes with {} and rank 0 with {}, so the bits of the weights depend on the "
               "ranks; QING_ISA=scalar makes them equal, and so does "
               "the one of the two that both CPUs have\n",
               process.rank, member.isa, members.front().isa);
  }
  const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  if (2L * here <= cpus) {
    fmt::print(stderr,
               "the ranks on {} use {} of its {} CPUs; more ranks, --threads, or mpirun --bind-to none use more\n",
               members.front().process.host, here, cpus);
  }
}

std::function<int()>& rank_failure() {
  static std::function<int()> settle;
  return settle;
}

[[noreturn]] void end_all(optim::MpiRanks& ranks, const std::exception& error, int code) {
  std::fflush(stdout);
  fmt::print(stderr, "{}{}\n", error_prefix(), with_option_names(error.what()));
  ranks.end_all(rank_failure() ? rank_failure()() : code);
}

}  // namespace

void on_rank_failure(std::function<int()> settle) { rank_failure() = std::move(settle); }

std::string error_prefix() {
  const std::optional<optim::Launch> launch = optim::launch();
  return launch && launch->size > 1 ? fmt::format("qing: rank {}: error: ", launch->rank) : "qing: error: ";
}

void with_ranks(int64_t threads, const std::function<void(optim::Communicator* ranks)>& body) {
  const std::optional<optim::Launch> launch = optim::launch();
  if (!launch) return body(nullptr);
  if (launch->size == 1) {
    optim::SoleRank sole;
    return body(&sole);
  }
  const std::unique_ptr<optim::MpiRanks> ranks = optim::MpiRanks::join(*launch, library_folders());
  try {
    if (threads > 0) {
      set_num_threads(static_cast<int>(threads));
    } else if (!variable_says_threads()) {
      divide_threads(*ranks);
    }
    const std::vector<Member> members = gather(*ranks, num_threads());
    if (ranks->is_first()) introduce(members, ranks->library());
    body(ranks.get());
    flush_output();
    ranks->close();
  } catch (const UsageError& error) { end_all(*ranks, error, kUsage); } catch (const std::exception& error) {
    end_all(*ranks, error, kFailure);
  }
}

}  // namespace qing::serve::cli
