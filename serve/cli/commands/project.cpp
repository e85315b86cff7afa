// `qing project`: all that a project holds.
#include <filesystem>
#include <memory>
#include <string>

#include <fmt/format.h>

#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/state_option.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/maintenance/project_data.h>

namespace qing::serve::cli {
namespace {

struct ProjectArguments {
  std::filesystem::path state, out;
  std::string name;
  bool yes = false;
};

// One line per table with rows.
void print_rows(const ProjectRows& rows) {
  for (const auto& [table, count] : rows) print_line(fmt::format("{}  {}", table, count));
}

void run_project_delete(const ProjectArguments& a) {
  if (!a.yes) {
    throw UsageError(
        fmt::format("this deletes all files, jobs, models and feedback of {} for good; repeat it with --yes", a.name));
  }
  print_rows(delete_project(State(a.state), a.name));
}

}  // namespace

void add_project(CommandLine& line) {
  const auto a = std::make_shared<ProjectArguments>();
  CLI::App* project = line.app.add_subcommand("project", "Export or delete all that a project holds");
  project->require_subcommand(1);
  CLI::App* exported = project->add_subcommand("export", "Write the project's records, files and models to an archive");
  CLI::App* deleted = project->add_subcommand("delete", "Delete the project's records, files and models for good");
  for (CLI::App* command : {exported, deleted}) {
    command->add_option("name", a->name, "Project")->required();
    add_state(command, a->state);
  }
  exported->add_option("--out", a->out, "Archive (tar)")->required()->type_name("FILE");
  deleted->add_flag("--yes", a->yes, "Confirm the deletion");
  exported->callback([&line, a] { line.run = [a] { print_rows(export_project(State(a->state), a->name, a->out)); }; });
  deleted->callback([&line, a] { line.run = [a] { run_project_delete(*a); }; });
}

}  // namespace qing::serve::cli
