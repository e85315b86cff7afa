// The `qing` command: parses the command line and calls serve/cli. Exit codes: 0 well, 2 usage, 1 failure.
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
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <qing/serve/cli/commands.h>
#include <qing/serve/cli/config_file.h>
#include <qing/serve/cli/limit_options.h>
#include <qing/serve/cli/number_from.h>
#include <qing/serve/common/output.h>
#include <qing/serve/runs/run_directory.h>

namespace {

namespace cli = qing::serve::cli;

constexpr int kFailure = 1;
constexpr int kUsage = 2;

// What to run once the line has been parsed.
using Action = std::function<void()>;

// One value an occurrence: `--data A --data B`.
CLI::Option* one_each(CLI::Option* option) { return option->allow_extra_args(false); }

// Texts are what CLI11 leaves over: as a positional option it would take "[good, cheap]" for a list of two.
// `after_dashes` are the arguments after --.
void add_texts(CLI::App* command, const std::vector<std::string>& after_dashes, std::vector<std::string>& texts,
               const std::function<void()>& then) {
  command->allow_extras();
  command->footer(
      "Then the texts (after -- if one begins with a dash); without any, and without a file, lines of stdin.");
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

// The file's options, or those of the training to resume; the line goes before either.
void read_configs(CLI::App& command, const std::filesystem::path& file, const cli::TrainArguments& a) {
  if (!file.empty()) cli::read_config(command, file);
  const auto recorded = a.resume && !a.out.empty() ? cli::recorded_config(a.out) : std::nullopt;
  if (recorded) cli::read_config(command, *recorded);
  for (const char* option : {"--data", "--out"}) {
    if (command.count(option) == 0) throw cli::UsageError(std::string(option) + " is missing; see qing train --help");
  }
}

void add_train(CLI::App& app, cli::TrainArguments& a, std::filesystem::path& config, Action& action) {
  CLI::App* command = app.add_subcommand("train", "Train a sentiment model from labelled texts");
  one_each(command->add_option("--data", a.data, "Labelled texts (.tsv, .csv, .jsonl); needed; may be given again"));
  one_each(command->add_option(
      "--extra", a.extra, "More texts; each epoch takes a share, and labels that a file lacks do not compete there"));
  one_each(command->add_option("--teacher", a.teachers,
                               "Model folder whose scores are learnt beside the labels; may be given again"));
  one_each(command->add_option("--dev", a.dev, "Texts to evaluate on: the best model is kept; may be given again"));
  command->add_option("--out", a.out, "Folder to write the model to; needed");
  command->add_option("--config", config, "File of options (TOML or INI), such as DIR/run/config.toml")
      ->configurable(false);
  command->add_option("--labels", a.labels, "What the label column may say, with commas between")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->default_str("negative,neutral,positive");
  command->option_defaults()->always_capture_default();
  command->add_option("--layers", a.layers, "Transformer layers")->check(CLI::Range(1, 1000));
  command->add_option("--width", a.width, "Hidden size")->check(CLI::Range(1, 65536));
  command->add_option("--heads", a.heads, "Attention heads; 0: width / 32")->check(CLI::Range(0, 65536));
  command->add_option("--batch", a.batch, "Texts a step")->check(CLI::Range(1, 1 << 20));
  command->add_option("--vocab", a.vocab, "Most entries of the vocabulary")->check(CLI::Range(6, 1 << 24));
  command->add_option("--epochs", a.epochs, "Passes over the texts")->check(CLI::Range(1, 1 << 20));
  command->add_option("--lr", a.lr, "Peak learning rate")->check(cli::number_from(1e-12, 1e6));
  command->add_option("--dropout", a.dropout, "Dropout probability")->check(cli::number_from(0, 0.99));
  command->add_option("--warmup", a.warmup, "Share of the steps in which lr rises")->check(cli::number_from(0, 1));
  command->add_option("--weight-decay", a.weight_decay, "AdamW's weight decay")->check(cli::number_from(0, 1));
  command->add_option("--clip", a.clip, "Largest norm of the gradient")->check(cli::number_from(1e-12, 1e6));
  command->add_option("--word-dropout", a.word_dropout, "Share of the tokens masked in training")
      ->check(cli::number_from(0, 0.99));
  command->add_option("--balance", a.balance, "1: learn as if all labels were as frequent in each file; 0: as is")
      ->check(cli::number_from(0, 10));
  command->add_option("--ema", a.ema, "Decay of the average of the weights that becomes the model; 0: none")
      ->check(cli::number_from(0, 0.999999));
  command->add_option("--label-smoothing", a.label_smoothing, "Share of each target spread over all labels")
      ->check(cli::number_from(0, 0.99));
  command->add_option("--consistency", a.consistency, "R-Drop: weight of how far two draws of dropout differ; 0: none")
      ->check(cli::number_from(0, 1e6));
  command->add_option("--teacher-share", a.teacher_share, "Share of the target that teachers tell")
      ->check(cli::number_from(0, 1));
  command->add_option("--precision", a.precision, "Of products of matrices: f32, or bf16 with sums in f32")
      ->check(CLI::IsMember({"f32", "bf16"}));
  command->add_option("--extra-share", a.extra_share, "Share of the --extra texts in an epoch")
      ->check(cli::number_from(0, 1));
  command->add_option("--ngrams", a.ngrams, "Add a linear model of n-grams found in so many texts or more; 0: none")
      ->check(CLI::Range(0, 1 << 24));
  command->add_option("--ngram-dropout", a.ngram_dropout, "Share of the n-grams left out in training")
      ->check(cli::number_from(0, 0.99));
  command->add_option("--ngram-lr", a.ngram_lr, "Peak learning rate of n-grams")->check(cli::number_from(1e-12, 1e6));
  command->add_option("--ngram-weight-decay", a.ngram_weight_decay, "Weight decay of n-grams")
      ->check(cli::number_from(0, 1));
  command->add_option("--seed", a.seed, "Seed of every random number");
  command->add_option("--max-length", a.max_length, "Tokens of a text; the rest is cut")->check(CLI::Range(3, 1 << 16));
  command->add_option("--max-steps", a.max_steps, "Stop after so many steps; 0: never")
      ->check(cli::number_from(0, 1e15));
  command->add_option("--eval-every", a.eval_every, "Evaluate on --dev every so many steps; 0: every epoch")
      ->check(cli::number_from(0, 1e15));
  command
      ->add_option("--early-stop", a.early_stop,
                   "Stop after so many evaluations without a better mean macro-recall over --dev; 0: never")
      ->check(cli::number_from(0, 1e15));
  command->add_option("--checkpoint-every", a.checkpoint_every, "Checkpoint every so many steps; 0: every epoch")
      ->check(cli::number_from(0, 1e15));
  command->add_option("--threads", a.threads, "Threads; 0: QING_THREADS, OMP_NUM_THREADS, or what the machine has")
      ->check(CLI::Range(0, 1024));
  command->option_defaults()->always_capture_default(false);
  command->add_flag("--resume", a.resume, "Go on with the training in --out, whose options need not be given again")
      ->configurable(false);
  command->add_flag("--overwrite", a.overwrite, "Begin anew even if --out holds an unfinished training")
      ->configurable(false);
  command->add_flag("--json", a.json, "End with a JSON object on stdout")->configurable(false);
  command->callback([&, command] {
    read_configs(*command, config, a);
    a.settings = cli::settings_of(*command);
    action = [&a] { cli::run_train(a); };
  });
}

void add_model(CLI::App* command, std::filesystem::path& model) {
  command->add_option("--model", model, "Model folder; by default that of the model that comes with qing");
}

void add_precision(CLI::App* command, qing::DType& precision) {
  const auto set = [&precision](const std::string& name) {
    precision = name == "bf16" ? qing::DType::bf16 : name == "int8" ? qing::DType::i8 : qing::DType::f32;
  };
  command
      ->add_option_function<std::string>("--precision", set,
                                         "Of products of matrices: f32, or bf16 or int8, faster and less exact")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->default_str("f32");
}

void add_eval(CLI::App& app, cli::EvalArguments& a, Action& action) {
  CLI::App* command = app.add_subcommand("eval", "Measure a model on labelled texts");
  add_model(command, a.model);
  one_each(command->add_option("--data", a.data, "Labelled texts; may be given again"))->required();
  command->add_option("--confusion", a.confusion, "SVG file to draw the confusion matrices to");
  command->add_flag(
      "--reference", a.reference,
      "Keep the shares of predicted labels and of unknown tokens in the model: serving compares with them");
  add_precision(command, a.precision);
  command->add_flag("--json", a.json, "End with a JSON object on stdout");
  command->callback([&] { action = [&a] { cli::run_eval(a); }; });
}

void add_predict(CLI::App& app, const std::vector<std::string>& after_dashes, cli::TextArguments& a, Action& action) {
  CLI::App* command = app.add_subcommand("predict", "Predict the sentiment of texts");
  add_model(command, a.model);
  command->add_option("--file", a.file, "File with one text a line");
  command->add_flag("--json", a.json, "One JSON object a text");
  command->add_flag("--logits", a.logits, "Also the logits, which the scores are made of");
  add_precision(command, a.precision);
  add_texts(command, after_dashes, a.texts, [&] { action = [&a] { cli::run_predict(a); }; });
}

void add_explain(CLI::App& app, const std::vector<std::string>& after_dashes, cli::TextArguments& a, Action& action) {
  CLI::App* command = app.add_subcommand("explain", "Show what each part of a text weighed in its prediction");
  add_model(command, a.model);
  command->add_option("--file", a.file, "File with one text a line");
  command->add_flag("--json", a.json, "One JSON object a text");
  add_texts(command, after_dashes, a.texts, [&] { action = [&a] { cli::run_explain(a); }; });
}

void add_tokenize(CLI::App& app, const std::vector<std::string>& after_dashes, cli::TextArguments& a, Action& action) {
  CLI::App* command = app.add_subcommand("tokenize", "Print the token ids of texts, a JSON array a text");
  add_model(command, a.model);
  command->add_option("--ids,--file", a.file, "File with one text a line");
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
  command->add_option("--models", a.models, "Folder of models, NAME/VERSION/; by default the one that comes with qing");
  command->add_option("--config", config, "File of these options (TOML or INI)")->configurable(false);
  add_precision(command, a.precision);
  command->add_option("--address", a.address, "Address to listen on")->capture_default_str();
  command->add_option("--port", a.port, "Port; 0: any free one")->capture_default_str();
  command->add_option("--keys", a.keys, "API keys: a store of qing keys, or a file with one a line");
  command->add_flag("--allow-no-keys", a.allow_no_keys, "Serve other machines without keys");
  command->add_option("--certificate", a.certificate, "Certificate chain in PEM: TLS; read again on SIGHUP");
  command->add_option("--tls-key", a.tls_key, "Private key of the certificate, in PEM");
  command
      ->add_option("--cors-origin", a.site.cors_origins,
                   "Origin whose pages may call the service, such as https://app.example.org, or *; may be given again")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--base-path", a.site.base_path, "Prefix of all paths, such as /qing");
  command->add_flag(
      "--trust-forwarded-prefix", a.site.trust_forwarded_prefix,
      "Believe X-Forwarded-Prefix, which the proxy in front sets to the prefix that it removed from the path");
  command->add_option("--log-requests", a.log_requests, "A line in the log for each request")->capture_default_str();
  cli::add_limits(command, a.limits);
  command->footer("The line goes before the environment, the environment before the file.");
  name_variables(*command, "QING_SERVE_");
  command->callback([&, command] {
    if (!config.empty()) cli::read_config(*command, config);
    action = [&a] { cli::run_serve(a); };
  });
}

void add_keys(CLI::App& app, cli::KeysArguments& a, Action& action) {
  CLI::App* keys = app.add_subcommand("keys", "Make and manage the API keys of a service");
  keys->require_subcommand(1);
  const auto add = [&](const char* name, const char* about, void (*run)(const cli::KeysArguments&)) {
    CLI::App* command = keys->add_subcommand(name, about);
    command->add_option("--store", a.store, "File of the keys")->required();
    command->add_flag("--json", a.json, "JSON objects, one a line");
    command->callback([&a, &action, run] { action = [&a, run] { run(a); }; });
    return command;
  };
  const std::map<std::string, int64_t> units{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
  const CLI::AsNumberWithUnit time(units, CLI::AsNumberWithUnit::UNIT_REQUIRED, "TIME");
  const CLI::Range quota(int64_t{0}, int64_t{1} << 53);
  CLI::App* create = add("create", "Make a key and print it; a missing store, too", cli::run_keys_create);
  create->add_option("--name", a.name, "For people");
  create->add_option("--scopes", a.scopes, "Of predict, metrics and admin, with commas between")->capture_default_str();
  create->add_option("--expires", a.expires, "After so long, such as 90d, 12h, 30m, 10s")
      ->transform(time)
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 31));
  create->add_option("--requests-per-minute", a.requests_per_minute, "Quota; 0: none")->check(quota);
  create->add_option("--requests-per-day", a.requests_per_day, "Quota; 0: none")->check(quota);
  create->add_option("--tokens-per-minute", a.tokens_per_minute, "Quota; 0: none")->check(quota);
  create->add_option("--tokens-per-day", a.tokens_per_day, "Quota; 0: none")->check(quota);
  add("list", "Show the keys, without their secrets", cli::run_keys_list);
  CLI::App* rotate = add("rotate", "Give a key another secret and print it", cli::run_keys_rotate);
  rotate->add_option("id", a.id, "What stands before the key's dot")->required();
  rotate->add_option("--overlap", a.overlap, "How long the old secret stays good; 24h unless given")->transform(time);
  CLI::App* revoke = add("revoke", "End a key, within a second", cli::run_keys_revoke);
  revoke->add_option("id", a.id, "What stands before the key's dot")->required();
  CLI::App* usage = add("usage", "Show requests and tokens by day (UTC) and key", cli::run_keys_usage);
  usage->add_option("id", a.id, "Of this key alone");
  usage->add_option("--days", a.days, "So many, with today")->capture_default_str()->check(CLI::Range(1, 100'000));
  CLI::App* backup = add("backup", "Copy the store and its pepper, also while servers use it", cli::run_keys_backup);
  backup->add_option("file", a.backup, "File to write; the pepper is written to FILE.pepper")->required();
  backup->add_flag("--without-pepper", a.without_pepper,
                   "Do not copy the pepper. It never changes, so one copy kept elsewhere is enough");
  backup->add_flag("--overwrite", a.overwrite, "Replace a backup that is there");
  CLI::App* restore = add("restore", "Make the store what it was when it was backed up", cli::run_keys_restore);
  restore->add_option("file", a.backup, "The backup")->required();
  restore->add_option("--pepper", a.pepper, "Pepper file; default: FILE.pepper, or the store's own if that is missing");
  restore->add_flag("--overwrite", a.overwrite, "Replace the keys of a store that is there, also while servers use it");
}

void add_info(CLI::App& app, cli::InfoArguments& a, Action& action) {
  CLI::App* command = app.add_subcommand("info", "Show version, instruction set, threads and a model's configuration");
  command->add_option("--model", a.model, "Model folder");
  command->add_flag("--json", a.json, "As a JSON object");
  command->callback([&] { action = [&a] { cli::run_info(a); }; });
}

void add_bench(CLI::App& app, cli::BenchArguments& a, Action& action) {
  CLI::App* command =
      app.add_subcommand("bench", "Measure this machine and matrix products on it, as a share of its peak");
  command->add_flag("--json", a.json, "As a JSON object");
  command->callback([&] { action = [&a] { cli::run_bench(a); }; });
}

int fail(const char* what, int code) {
  std::fflush(stdout);
  std::fprintf(stderr, "qing: error: %s\n", what);
  return code;
}

int run(int argc, char** argv) {
  CLI::App app{"qing: train, measure and serve small sentiment models", "qing"};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("qing ") + qing::serve::kVersion);

  // CLI11 hands what follows -- to the wrong command, so it never sees it.
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
  std::signal(SIGPIPE, SIG_IGN);  // a reader that leaves is an IoError, told like any other
  try {
    return run(argc, argv);
  } catch (const cli::UsageError& error) { return fail(error.what(), kUsage); } catch (const std::exception& error) {
    return fail(error.what(), kFailure);
  } catch (...) {
    return fail("an unknown exception; please report it with the command line that led to it", kFailure);
  }
}
