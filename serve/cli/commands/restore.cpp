// `qing restore`.
#include <filesystem>
#include <memory>

#include <qing/serve/cli/command_line.h>
#include <qing/serve/common/output.h>
#include <qing/serve/maintenance/state_backup.h>

namespace qing::serve::cli {
namespace {

struct RestoreArguments {
  std::filesystem::path file, state;
};

}  // namespace

void add_restore(CommandLine& line) {
  const auto a = std::make_shared<RestoreArguments>();
  CLI::App* command = line.app.add_subcommand("restore", "Make a state folder from a backup, after checking all of it");
  command->add_option("file", a->file, "Backup file of qing backup")->required()->type_name("FILE");
  command->add_option("--state", a->state, "State folder. It must not exist, or be empty")
      ->required()
      ->type_name("FOLDER");
  command->callback([&line, a] {
    line.run = [a] {
      restore_state(a->file, State(a->state));
      print_line(a->state.string());
    };
  });
}

}  // namespace qing::serve::cli
