// The `qing` command: parses the command line and runs a command of serve/cli/commands. Exit codes: 0 success, 2 wrong
// usage, 1 failure, 3 a server that does not answer any more.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/help_format.h>
#include <qing/serve/cli/option_names.h>
#include <qing/serve/cli/server_lost.h>
#include <qing/serve/cli/training_ranks.h>
#include <qing/serve/cli/unknown_argument.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/common/version.h>

namespace {

namespace cli = qing::serve::cli;

constexpr int kFailure = 1;
constexpr int kUsage = 2;
constexpr int kServerLost = 3;

int fail(const char* what, int code) {
  std::fflush(stdout);
  std::fprintf(stderr, "%s%s\n", cli::error_prefix().c_str(), cli::with_option_names(what).c_str());
  return code;
}

// Leaves the environment variables of the command that the words name. CLI11 gives variables to the options of all
// commands, also of those that are not chosen, and commands of a family share their values: what the chosen one was
// given would be overwritten.
void forget_variables(CLI::App& app, std::span<const std::string> words) {
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    const bool chosen = !words.empty() && command->check_name(words.front());
    if (!chosen) {
      for (CLI::Option* option : command->get_options()) option->envname("");
    }
    forget_variables(*command, chosen ? words.subspan(1) : std::span<const std::string>());
  }
}

int run(int argc, char** argv) {
  CLI::App app{"qing: train, evaluate and serve small text classifiers", "qing"};
  app.require_subcommand(1);
  app.formatter(std::make_shared<cli::HelpFormat>());  // commands inherit it
  app.set_version_flag("--version", std::string("qing ") + qing::serve::kVersion, "Print the version and exit");

  // CLI11 gives the arguments after -- to the wrong command, so they are removed before.
  char** const dashes =
      std::find_if(argv + 1, argv + argc, [](const char* arg) { return std::string_view(arg) == "--"; });
  cli::CommandLine line{.app = app, .arguments = {argv + 1, dashes}, .after_dashes = {}, .run = {}};
  if (dashes != argv + argc) line.after_dashes.assign(dashes + 1, argv + argc);
  cli::add_commands(line);

  try {
    const auto named = [&](const CLI::App* command) { return argc > 1 && command->check_name(argv[1]); };
    if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(named).empty()) {
      throw cli::UsageError("unknown command '" + std::string(argv[1]) + "'; see qing --help");
    }
    forget_variables(app, line.arguments);
    app.parse(static_cast<int>(dashes - argv), argv);
    if (!line.after_dashes.empty() && !line.takes_after_dashes) {
      throw cli::UsageError(app.get_subcommands().front()->get_name() + " takes no arguments after --");
    }
  } catch (const CLI::Success& help) { return app.exit(help); } catch (const CLI::ExtrasError&) {
    return fail(cli::about_unknown_argument(app).c_str(), kUsage);
  } catch (const CLI::ParseError& error) {
    return fail((std::string(error.what()) + "; see qing --help, or qing COMMAND --help").c_str(), kUsage);
  }
  line.run();
  cli::flush_output();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  std::signal(SIGPIPE, SIG_IGN);  // writing to a closed pipe is then an error of the write
  try {
    return run(argc, argv);
  } catch (const cli::UsageError& error) { return fail(error.what(), kUsage); } catch (const cli::ServerLost& error) {
    return fail(error.what(), kServerLost);
  } catch (const std::exception& error) { return fail(error.what(), kFailure); } catch (...) {
    return fail("an unknown exception; please report it with the command line that led to it", kFailure);
  }
}
