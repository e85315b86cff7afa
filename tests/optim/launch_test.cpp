#include <gtest/gtest.h>
#include <qing/optim/parallel/launch.h>
#include <qing/optim/parallel/mpi_ranks.h>
#include <qing/optim/parallel/witness.h>
#include <qing/tensor/errors.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "nn/temp_folder.h"

namespace qing::optim {
namespace {

std::optional<Launch> launch_with(const std::map<std::string, std::string>& variables) {
  return launch([&](const char* name) {
    const auto found = variables.find(name);
    return found != variables.end() ? found->second.c_str() : nullptr;
  });
}

TEST(Launch, IsKnownByTheVariablesOfLaunchers) {
  EXPECT_FALSE(launch_with({}));
  const auto open_mpi = launch_with({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "4"}, {"PMIX_RANK", "1"}});
  ASSERT_TRUE(open_mpi);
  EXPECT_EQ(open_mpi->rank, 1);
  EXPECT_EQ(open_mpi->size, 4);
  EXPECT_EQ(open_mpi->library, MpiLibrary::open_mpi);
  EXPECT_EQ(open_mpi->sign, "OMPI_COMM_WORLD_SIZE");
  EXPECT_EQ(launch_with({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}})->library, MpiLibrary::mpich);
  const std::map<std::string, std::string> slurm = {{"SLURM_PROCID", "2"}, {"SLURM_STEP_NUM_TASKS", "3"}};
  EXPECT_EQ(launch_with(slurm)->library, MpiLibrary::none);
  auto with = slurm;
  with["PMIX_RANK"] = "2";
  EXPECT_EQ(launch_with(with)->library, MpiLibrary::open_mpi);
  with = slurm;
  with["PMI_RANK"] = "2", with["PMI_SIZE"] = "3";
  EXPECT_EQ(launch_with(with)->library, MpiLibrary::mpich);
  // A batch script of Slurm, a step of one task, and values that are no numbers.
  EXPECT_FALSE(launch_with({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}));
  EXPECT_FALSE(launch_with({{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}}));
  EXPECT_FALSE(launch_with({{"PMI_RANK", "2"}, {"PMI_SIZE", "2"}}));
  EXPECT_FALSE(launch_with({{"PMI_RANK", ""}, {"PMI_SIZE", "2x"}}));
}

TEST(MpiRanks, AMissingLibraryIsNamedWithTheRemedy) {
  const qing::test::TempFolder folder;
  const std::vector<std::filesystem::path> folders = {folder.path()};
  const auto text_of = [&](MpiLibrary library) -> std::string {
    try {
      MpiRanks::join({.rank = 1, .size = 2, .library = library, .sign = "SIGN"}, folders);
    } catch (const IoError& error) { return error.what(); }
    return {};
  };
  const std::string open_mpi = text_of(MpiLibrary::open_mpi);
  EXPECT_NE(open_mpi.find("SIGN=2 says that this is rank 1 of 2"), std::string::npos) << open_mpi;
  EXPECT_NE(open_mpi.find("libqing_mpi_openmpi.so"), std::string::npos);
  EXPECT_NE(open_mpi.find("libopenmpi-dev"), std::string::npos);
  EXPECT_NE(text_of(MpiLibrary::none).find("srun --mpi=pmix"), std::string::npos);
  folder.write("libqing_mpi_mpich.so", "no library");
  EXPECT_NE(text_of(MpiLibrary::mpich).find("libqing_mpi_mpich.so"), std::string::npos);
}

pid_t sleeping_process() {
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  return child;
}

TEST(Witness, NamesTheFirstThatEndsAndKillsTheRest) {
  const pid_t first = sleeping_process(), second = sleeping_process();
  testing::internal::CaptureStderr();
  {
    Witness witness;
    std::vector<RankProcess> processes = {this_process(0), this_process(1), this_process(2)};
    processes[0].pid = first, processes[1].pid = second;
    processes[2].machine = "another", processes[2].pid = 1;
    for (RankProcess& process : processes) process = process_of(to_text(process));
    witness.watch(processes);
    kill(second, SIGKILL);
    waitpid(second, nullptr, 0);
    int status = 0;
    waitpid(first, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("rank 1 (process " + std::to_string(second) + " on "), std::string::npos) << said;
  EXPECT_EQ(said.find("rank 0"), std::string::npos) << said;
}

TEST(Witness, SaysNothingWhenItIsDismissed) {
  const pid_t child = sleeping_process();
  testing::internal::CaptureStderr();
  {
    Witness witness, idle;
    RankProcess process = this_process(0);
    process.pid = child;
    witness.watch({process});
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace qing::optim
