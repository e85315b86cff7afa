// The `qing` command: parses the command line and calls serve/cli. Exit codes: 0 success, 1 failure, 2 wrong usage.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <qing/serve/cli/commands.h>
#include <qing/serve/cli/config_file.h>
#include <qing/serve/cli/help_format.h>
#include <qing/serve/cli/limit_options.h>
#include <qing/serve/cli/number_from.h>
#include <qing/serve/cli/train_option_lines.h>
#include <qing/serve/common/output.h>
#include <qing/serve/runs/run_directory.h>

namespace {

namespace cli = qing::serve::cli;

constexpr int kFailure = 1;
constexpr int kUsage = 2;

// The function to run after the command line has been parsed.
using Action = std::function<void()>;

// The option takes one value per occurrence: `--data A --data B`.
CLI::Option* one_each(CLI::Option* option) { return option->allow_extra_args(false); }

// Texts are the arguments that CLI11 does not parse, because CLI11 would split a positional "[good, cheap]" into two
// texts. `after_dashes` are the arguments after --.
void add_texts(CLI::App* command, const std::vector<std::string>& after_dashes, std::vector<std::string>& texts,
               const std::function<void()>& then) {
  command->allow_extras();
  command->footer(
      "Arguments are the texts. Write -- before texts that begin with a dash. Without texts and --file, each line "
      "of stdin is a text.");
  command->callback([command, &after_dashes, &texts, then] {
    for (const std::string& item : command->remaining()) {
      if (item.size() > 1 && item[0] == '-') {
        throw cli::UsageError("unknown option " + item + "; write -- before texts that begin with a dash");
      }
      texts.push_back(item);
    }
    texts.insert(texts.end(), after_dashes.begin(), after_dashes.end());
    then();
  });
}

// Reads the options of the configuration file, or of the training to resume. The command line overrides both.
void read_configs(CLI::App& command, const std::filesystem::path& file, const cli::TrainArguments& a) {
  if (!file.empty()) cli::read_config(command, file);
  const auto recorded = a.resume && !a.out.empty() ? cli::recorded_config(a.out) : std::nullopt;
  if (recorded) cli::read_config(command, *recorded);
  for (const char* option : {"--data", "--out"}) {
    if (command.count(option) == 0) throw cli::UsageError(std::string(option) + " is missing; see qing train --help");
  }
}

void add_train(CLI::App& app, cli::TrainArguments& a, std::filesystem::path& config, Action& action) {
  CLI::App* command = app.add_subcommand("train", "Train a text classifier on labelled texts");
  const auto add_files = [&](const char* name, std::vector<std::filesystem::path>& files, const char* about) {
    one_each(command->add_option(name, files, about))->type_name("FILE")->group("Files");
  };
  add_files("--data", a.data,
            "Training data: labelled texts (.tsv, .csv, .jsonl). Required. Repeat it for several files");
  add_files("--dev", a.dev,
            "Dev set. With it the best model is kept, without it the last. Repeat it for several files");
  add_files(
      "--extra", a.extra,
      "Auxiliary training data. Each epoch takes a fraction of it (--extra-share). Labels that a file lacks do not "
      "compete for its texts. Repeat it for several files");
  command->add_option("--out", a.out, "Output folder of the model. Required")->type_name("FOLDER")->group("Files");
  command->add_option("--config", config, "Configuration file (TOML or INI), such as DIR/run/config.toml")
      ->configurable(false)
      ->type_name("FILE")
      ->group("Files");
  cli::add_train_options(command, a.options);
  const auto add_count = [&](const char* name, int64_t& value, double most, const char* about) {
    command->add_option(name, value, about)->check(cli::number_from(0, most))->capture_default_str()->group("Run");
  };
  add_count("--eval-every", a.eval_every, 1e15, "Evaluation interval in steps. 0 means every epoch");
  add_count("--early-stop", a.early_stop, 1e15,
            "Early stopping: number of evaluations without a better mean macro-recall over --dev. 0 disables it");
  add_count("--checkpoint-every", a.checkpoint_every, 1e15, "Checkpoint interval in steps. 0 means every epoch");
  add_count("--threads", a.threads, 1024,
            "Number of threads. 0 means QING_THREADS, else OMP_NUM_THREADS, else all CPUs of the process");
  const auto add_flag = [&](const char* name, bool& value, const char* about) {
    command->add_flag(name, value, about)->configurable(false)->group("Run");
  };
  add_flag("--resume", a.resume, "Resume the training in --out. Its options need not be given again");
  add_flag("--overwrite", a.overwrite, "Replace an unfinished training in --out");
  add_flag("--json", a.json, "Print the result as a JSON object on stdout");
  command->callback([&, command] {
    read_configs(*command, config, a);
    a.settings = cli::settings_of(*command);
    action = [&a] { cli::run_train(a); };
  });
}

void add_model(CLI::App* command, std::filesystem::path& model) {
  command->add_option("--model", model, "Model folder. The default is the model shipped with qing")
      ->type_name("FOLDER");
}

void add_precision(CLI::App* command, qing::DType& precision) {
  const auto set = [&precision](const std::string& name) {
    precision = name == "bf16" ? qing::DType::bf16 : name == "int8" ? qing::DType::i8 : qing::DType::f32;
  };
  command
      ->add_option_function<std::string>("--precision", set,
                                         "Precision of matrix products. bf16 and int8 are faster and less exact")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->default_str("f32");
}

void add_eval(CLI::App& app, cli::EvalArguments& a, Action& action) {
  CLI::App* command = app.add_subcommand("eval", "Evaluate a model on labelled texts");
  add_model(command, a.model);
  one_each(command->add_option("--data", a.data, "Labelled texts (.tsv, .csv, .jsonl). Repeat it for several files"))
      ->required()
      ->type_name("FILE");
  command->add_option("--confusion", a.confusion, "Confusion matrices: output file (SVG)")->type_name("FILE");
  command->add_flag(
      "--reference", a.reference,
      "Reference for drift detection: store the frequencies of predicted labels and unknown tokens in the model");
  add_precision(command, a.precision);
  command->add_flag("--json", a.json, "Print the result as a JSON object on stdout");
  command->callback([&] { action = [&a] { cli::run_eval(a); }; });
}

void add_predict(CLI::App& app, const std::vector<std::string>& after_dashes, cli::TextArguments& a, Action& action) {
  CLI::App* command = app.add_subcommand("predict", "Predict the labels of texts");
  add_model(command, a.model);
  command->add_option("--file", a.file, "Input file with one text per line")->type_name("FILE");
  command->add_flag("--json", a.json, "Print one JSON object per text");
  command->add_flag("--logits", a.logits, "Print the logits as well");
  add_precision(command, a.precision);
  add_texts(command, after_dashes, a.texts, [&] { action = [&a] { cli::run_predict(a); }; });
}

void add_explain(CLI::App& app, const std::vector<std::string>& after_dashes, cli::TextArguments& a, Action& action) {
  CLI::App* command = app.add_subcommand("explain", "Explain predictions: the weight of each part of a text");
  add_model(command, a.model);
  command->add_option("--file", a.file, "Input file with one text per line")->type_name("FILE");
  command->add_flag("--json", a.json, "Print one JSON object per text");
  add_texts(command, after_dashes, a.texts, [&] { action = [&a] { cli::run_explain(a); }; });
}

void add_tokenize(CLI::App& app, const std::vector<std::string>& after_dashes, cli::TextArguments& a, Action& action) {
  CLI::App* command = app.add_subcommand("tokenize", "Print the token ids of texts, one JSON array per text");
  add_model(command, a.model);
  command->add_option("--ids,--file", a.file, "Input file with one text per line")->type_name("FILE");
  add_texts(command, after_dashes, a.texts, [&] { action = [&a] { cli::run_tokenize(a); }; });
}

// QING_SERVE_TLS_KEY for --tls-key.
void name_variables(CLI::App& command, const std::string& prefix) {
  for (CLI::Option* option : command.get_options()) {
    if (option == command.get_help_ptr()) continue;
    std::string name = prefix + option->get_single_name();
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(c)); });
    option->envname(name);
  }
}

void add_serve(CLI::App& app, cli::ServeArguments& a, std::filesystem::path& config, Action& action) {
  CLI::App* command = app.add_subcommand("serve", "Serve models over HTTP");
  command
      ->add_option("--models", a.models,
                   "Model repository: folder of NAME/VERSION/ folders. The default is the one shipped with qing")
      ->type_name("FOLDER");
  command->add_option("--config", config, "Configuration file with these options (TOML or INI)")
      ->configurable(false)
      ->type_name("FILE");
  add_precision(command, a.precision);
  command->add_option("--address", a.address, "Listen address")->capture_default_str();
  command->add_option("--port", a.port, "Listen port. 0 means any free port")->capture_default_str();
  command->add_option("--keys", a.keys, "API keys: a store made by qing keys, or a text file with one key per line")
      ->type_name("FILE");
  command->add_flag("--allow-no-keys", a.allow_no_keys, "Allow a listen address other than loopback without API keys");
  command->add_option("--certificate", a.certificate, "TLS certificate chain (PEM). SIGHUP reloads it")
      ->type_name("FILE");
  command->add_option("--tls-key", a.tls_key, "TLS private key (PEM)")->type_name("FILE");
  command
      ->add_option("--cors-origin", a.site.cors_origins,
                   "Allowed CORS origin, such as https://app.example.org, or * for all. Repeat it for several origins")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--base-path", a.site.base_path, "URL path prefix, such as /qing");
  command->add_flag("--trust-forwarded-prefix", a.site.trust_forwarded_prefix,
                    "Trust the X-Forwarded-Prefix header. The reverse proxy sets it to the path prefix that it strips");
  command->add_option("--log-requests", a.log_requests, "Request log: one line per request")->capture_default_str();
  cli::add_limits(command, a.limits);
  command->footer("The command line overrides environment variables, which override the configuration file.");
  name_variables(*command, "QING_SERVE_");
  command->callback([&, command] {
    if (!config.empty()) cli::read_config(*command, config);
    action = [&a] { cli::run_serve(a); };
  });
}

void add_keys(CLI::App& app, cli::KeysArguments& a, Action& action) {
  CLI::App* keys = app.add_subcommand("keys", "Create and manage API keys");
  keys->require_subcommand(1);
  const auto add = [&](const char* name, const char* about, void (*run)(const cli::KeysArguments&)) {
    CLI::App* command = keys->add_subcommand(name, about);
    command->add_option("--store", a.store, "Key store file")->required()->type_name("FILE");
    command->add_flag("--json", a.json, "Print one JSON object per line");
    command->callback([&a, &action, run] { action = [&a, run] { run(a); }; });
    return command;
  };
  const std::map<std::string, int64_t> units{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
  const CLI::AsNumberWithUnit time(units, CLI::AsNumberWithUnit::UNIT_REQUIRED, "TIME");
  const CLI::Validator quota = cli::number_from(0, static_cast<double>(int64_t{1} << 53));
  const CLI::Validator lifetime = cli::number_from(1, 2147483648.0).description("");
  CLI::App* create = add("create", "Create a key and print it. A missing store is created", cli::run_keys_create);
  create->add_option("--name", a.name, "Display name of the key");
  create->add_option("--scopes", a.scopes, "Scopes, separated by commas: predict, metrics, admin")
      ->capture_default_str();
  create
      ->add_option("--expires", a.expires,
                   "Lifetime of the key, such as 90d, 12h, 30m or 10s. By default it never expires")
      ->transform(time)
      ->check(lifetime)
      ->type_name("TIME");
  create->add_option("--requests-per-minute", a.requests_per_minute, "Quota of requests per minute. 0 means no quota")
      ->check(quota);
  create->add_option("--requests-per-day", a.requests_per_day, "Quota of requests per day. 0 means no quota")
      ->check(quota);
  create->add_option("--tokens-per-minute", a.tokens_per_minute, "Quota of tokens per minute. 0 means no quota")
      ->check(quota);
  create->add_option("--tokens-per-day", a.tokens_per_day, "Quota of tokens per day. 0 means no quota")->check(quota);
  add("list", "List the keys without their secrets", cli::run_keys_list);
  CLI::App* rotate = add("rotate", "Replace the secret of a key and print the new key", cli::run_keys_rotate);
  rotate->add_option("id", a.id, "Key ID: the part of the key before the dot")->required();
  rotate->add_option("--overlap", a.overlap, "Time that the old secret remains valid, such as 12h. The default is 24h")
      ->transform(time)
      ->type_name("TIME");
  CLI::App* revoke = add("revoke", "Revoke a key. Running servers refuse it within a second", cli::run_keys_revoke);
  revoke->add_option("id", a.id, "Key ID: the part of the key before the dot")->required();
  CLI::App* usage = add("usage", "Show requests and tokens per day (UTC) and key", cli::run_keys_usage);
  usage->add_option("id", a.id, "Key ID. The default is all keys");
  usage->add_option("--days", a.days, "Number of days up to today")
      ->capture_default_str()
      ->check(cli::number_from(1, 100'000));
  CLI::App* backup = add("backup", "Back up the store and its pepper. Servers may run meanwhile", cli::run_keys_backup);
  backup->add_option("file", a.backup, "Backup file. The pepper is written to FILE.pepper")
      ->required()
      ->type_name("FILE");
  backup->add_flag("--without-pepper", a.without_pepper,
                   "Skip the pepper. It never changes, so one copy kept elsewhere is enough");
  backup->add_flag("--overwrite", a.overwrite, "Replace an existing backup");
  CLI::App* restore = add("restore", "Restore the store from a backup", cli::run_keys_restore);
  restore->add_option("file", a.backup, "Backup file")->required()->type_name("FILE");
  restore
      ->add_option("--pepper", a.pepper,
                   "Pepper file. The default is FILE.pepper, or the store's own if that is missing")
      ->type_name("FILE");
  restore->add_flag("--overwrite", a.overwrite, "Replace the keys of an existing store. Servers may run meanwhile");
}

void add_info(CLI::App& app, cli::InfoArguments& a, Action& action) {
  CLI::App* command =
      app.add_subcommand("info", "Show version, instruction set, threads and the configuration of a model");
  command->add_option("--model", a.model, "Model folder")->type_name("FOLDER");
  command->add_flag("--json", a.json, "Print the output as a JSON object");
  command->callback([&] { action = [&a] { cli::run_info(a); }; });
}

void add_bench(CLI::App& app, cli::BenchArguments& a, Action& action) {
  CLI::App* command = app.add_subcommand(
      "bench",
      "Benchmark this machine: peak arithmetic and memory throughput, and matrix products as a fraction of them");
  command->add_flag("--json", a.json, "Print the output as a JSON object");
  command->callback([&] { action = [&a] { cli::run_bench(a); }; });
}

int fail(const char* what, int code) {
  std::fflush(stdout);
  std::fprintf(stderr, "qing: error: %s\n", what);
  return code;
}

int run(int argc, char** argv) {
  CLI::App app{"qing: train, evaluate and serve small text classifiers", "qing"};
  app.require_subcommand(1);
  app.formatter(std::make_shared<cli::HelpFormat>());  // commands inherit it
  app.set_version_flag("--version", std::string("qing ") + qing::serve::kVersion, "Print the version and exit");

  // CLI11 would give the arguments after -- to the wrong command, so they are removed before parsing.
  char** const dashes =
      std::find_if(argv + 1, argv + argc, [](const char* arg) { return std::string_view(arg) == "--"; });
  const std::vector<std::string> after_dashes(dashes == argv + argc ? dashes : dashes + 1, argv + argc);

  cli::TrainArguments train;
  std::filesystem::path train_config, serve_config;
  cli::EvalArguments eval;
  cli::TextArguments predict, explain, tokenize;
  cli::ServeArguments serve;
  cli::KeysArguments keys;
  cli::InfoArguments info;
  cli::BenchArguments bench;
  Action action;
  add_train(app, train, train_config, action);
  add_eval(app, eval, action);
  add_predict(app, after_dashes, predict, action);
  add_explain(app, after_dashes, explain, action);
  add_tokenize(app, after_dashes, tokenize, action);
  add_serve(app, serve, serve_config, action);
  add_keys(app, keys, action);
  add_info(app, info, action);
  add_bench(app, bench, action);

  try {
    const auto named = [&](const CLI::App* command) { return argc > 1 && command->check_name(argv[1]); };
    if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(named).empty()) {
      throw cli::UsageError("unknown command '" + std::string(argv[1]) + "'; see qing --help");
    }
    app.parse(static_cast<int>(dashes - argv), argv);
    const std::string& chosen = app.get_subcommands().front()->get_name();
    if (!after_dashes.empty() && chosen != "predict" && chosen != "explain" && chosen != "tokenize") {
      throw cli::UsageError(chosen + " takes no arguments after --");
    }
  } catch (const CLI::Success& help) { return app.exit(help); } catch (const CLI::ParseError& error) {
    return fail((std::string(error.what()) + "; see qing --help, or qing COMMAND --help").c_str(), kUsage);
  }
  action();
  cli::flush_output();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is then an IoError like any other
  try {
    return run(argc, argv);
  } catch (const cli::UsageError& error) { return fail(error.what(), kUsage); } catch (const std::exception& error) {
    return fail(error.what(), kFailure);
  } catch (...) {
    return fail("an unknown exception; please report it with the command line that led to it", kFailure);
  }
}
