// `qing check-config`: would `qing serve --config FILE` start?
#include <algorithm>
#include <exception>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/config_file.h>
#include <qing/serve/cli/serve_options.h>
#include <qing/serve/common/draft.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;

class ConfigCheck {
 public:
  explicit ConfigCheck(const fs::path& file) : file_(file) {
    add_serve_options(command_, arguments_);
    faults_ = apply_config(command_, file);
    entries_ = read_toml(file);
  }

  // Each aspect of the server is checked alone, so that all faults are told at once. Nothing listens.
  void check_server() {
    try {
      choose_state(arguments_);
    } catch (const std::exception& error) {
      add({"state"}, error.what());
      // An empty one, so that this fault is not one of the other keys, too.
      stand_in_.emplace(fs::temp_directory_path() / "qing-check-");
      arguments_.state = stand_in_->path();
    }
    const ServerOptions all = server_options(arguments_);
    check({"keys", "address", "allow-no-keys"}, [&](ServerOptions& options) {
      options.address = all.address;
      options.keys_file = all.keys_file;
      options.allow_no_keys = all.allow_no_keys;
    });
    check({"certificate", "tls-key"}, [&](ServerOptions& options) {
      options.certificate = all.certificate;
      options.tls_key = all.tls_key;
    });
    check({"webhook-secret", "webhook", "state"}, [&](ServerOptions& options) {
      options.webhook = all.webhook;
      if (!all.webhook.url.empty()) options.state = all.state;
    });
    check({"job-runner", "kubernetes-image", "kubernetes-claim", "kubernetes-server", "state"},
          [&](ServerOptions& options) {
            options.jobs = all.jobs;
            if (all.jobs.kubernetes) options.state = all.state;
          });
    check({"cors-origin"}, [&](ServerOptions& options) { options.site.cors_origins = all.site.cors_origins; });
    check({"base-path"}, [&](ServerOptions& options) { options.site.base_path = all.site.base_path; });
  }

  // Loads the models as the server would.
  std::vector<Model> check_models() {
    try {
      const std::shared_ptr<Registry> registry = registry_of(arguments_);
      registry->load();
      for (const auto& [name, failure] : registry->rescan()) add({"models"}, name + ": " + failure.text());
      return registry->list();
    } catch (const std::exception& error) { add({"models", "state"}, error.what()); }
    return {};
  }

  size_t keys() const { return entries_.size(); }
  std::string faults() {
    std::ranges::stable_sort(faults_, {}, &ConfigFault::line);
    std::string all;
    for (const ConfigFault& fault : faults_) all += (all.empty() ? "" : "\n") + fault.text(file_);
    return all;
  }

 private:
  template <class Choose> void check(std::initializer_list<std::string_view> keys, const Choose& choose) {
    ServerOptions options;
    options.limits.compute_workers = 1;
    choose(options);
    try {
      const Server server(std::move(options), std::make_shared<Registry>());
    } catch (const std::exception& error) { add(keys, error.what()); }
  }

  // A fault of the first of the keys that the file has, else of the whole file.
  void add(std::initializer_list<std::string_view> keys, const std::string& what) {
    for (const std::string_view key : keys) {
      const auto entry = std::ranges::find(entries_, key, &TomlEntry::key);
      if (entry == entries_.end()) continue;
      faults_.push_back({entry->line, entry->key, what});
      return;
    }
    faults_.push_back({1, std::string(*keys.begin()), what});
  }

  const fs::path file_;
  ServeArguments arguments_;
  CLI::App command_{"", "serve"};
  std::vector<TomlEntry> entries_;
  std::vector<ConfigFault> faults_;
  std::optional<DraftFolder> stand_in_;
};

void run_check_config(const fs::path& file, bool without_models) {
  ConfigCheck check(file);
  check.check_server();
  std::vector<Model> models;
  if (!without_models) models = check.check_models();
  if (const std::string faults = check.faults(); !faults.empty()) throw UsageError(faults);
  for (const Model& model : models) {
    const std::string labels = model.classifier && model.classifier->embeds()
                                   ? "embeddings"
                                   : fmt::format("{}", fmt::join(model.served->labels(), ", "));
    const std::string task = model.classifier ? std::string() : fmt::format("{}: ", model.served->task());
    print_line(fmt::format("model {} version {}: {}{}", model.name, model.version, task, labels));
  }
  print_line(fmt::format("{}: {}, no fault", file.string(), how_many(check.keys(), "key")));
}

}  // namespace

void add_check_config(CommandLine& line) {
  CLI::App* command = line.app.add_subcommand(
      "check-config", "Check a configuration file of qing serve: its keys and values, and the files that they name");
  const auto file = std::make_shared<fs::path>();
  const auto without_models = std::make_shared<bool>(false);
  command->add_option("file", *file, "Configuration file (TOML)")->type_name("FILE")->required();
  command->add_flag("--without-models", *without_models, "Do not load the models");
  command->footer(
      "Every fault is printed with its line, and the exit code is 2. Environment variables are not read. Nothing "
      "listens on the port.");
  command->callback([&line, file, without_models] {
    line.run = [file, without_models] { run_check_config(*file, *without_models); };
  });
}

}  // namespace qing::serve::cli
