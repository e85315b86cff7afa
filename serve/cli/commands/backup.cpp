// `qing backup`.
#include <filesystem>
#include <memory>

#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/state_option.h>
#include <qing/serve/common/output.h>
#include <qing/serve/maintenance/state_backup.h>

namespace qing::serve::cli {
namespace {

struct BackupArguments {
  std::filesystem::path state, out;
};

}  // namespace

void add_backup(CommandLine& line) {
  const auto a = std::make_shared<BackupArguments>();
  CLI::App* command = line.app.add_subcommand(
      "backup", "Back up a state folder: records, files, models and finished jobs. Servers may run");
  add_state(command, a->state);
  command->add_option("--out", a->out, "Backup file (tar)")->required()->type_name("FILE");
  command->footer("API keys are in a file of their own: see qing keys backup.");
  command->callback([&line, a] {
    line.run = [a] {
      back_up_state(State(a->state), a->out);
      print_line(a->out.string());
    };
  });
}

}  // namespace qing::serve::cli
