// `qing audit`.
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>

#include <fmt/chrono.h>

#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/number_from.h>
#include <qing/serve/cli/state_option.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/output.h>
#include <qing/serve/state/audit.h>
#include <qing/serve/state/state.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace {

struct AuditArguments {
  std::filesystem::path state;
  AuditQuery query;
  bool json = false;
};

std::string line_of(const AuditEntry& entry, bool as_json) {
  const std::string time = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(entry.time)));
  if (!as_json) {
    return fmt::format("{}  {:16}  {:12}  {:20}  {}  {}", time, entry.key.empty() ? "-" : entry.key, entry.project,
                       entry.action, entry.object, entry.detail);
  }
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("number", entry.number).member("time", time).member("key", entry.key);
  json.member("project", entry.project).member("action", entry.action).member("object", entry.object);
  json.member("detail", entry.detail).end();
  return json.take();
}

// Prints one line per change, the newest first.
void run_audit(const AuditArguments& a) {
  const State state(a.state);
  if (!state.exists()) {
    throw IoError(fmt::format("{}: keeps nothing yet; give the folder of qing serve --state", a.state.string()));
  }
  Database database = state.open();
  for (const AuditEntry& entry : audit_entries(database, a.query)) print_line(line_of(entry, a.json));
}

}  // namespace

void add_audit(CommandLine& line) {
  const auto a = std::make_shared<AuditArguments>();
  CLI::App* command = line.app.add_subcommand("audit", "Show who changed files, jobs and models, the newest first");
  add_state(command, a->state);
  command->add_option("--project", a->query.project, "Project. The default is all projects");
  command->add_option("--action", a->query.action, "Action such as model.load, or its first word. The default is all");
  command->add_option("--object", a->query.object, "ID or name of what was changed. The default is all");
  command->add_option("--before", a->query.before, "Number of an entry. Only entries before it are shown")
      ->check(number_from(1, 9e15));
  command->add_option("--limit", a->query.most, "Most entries")->capture_default_str()->check(number_from(1, 1e9));
  command->add_flag("--json", a->json, "Print one JSON object per line");
  command->callback([&line, a] { line.run = [a] { run_audit(*a); }; });
}

}  // namespace qing::serve::cli
