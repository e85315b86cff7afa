// The `qing` command: parses the command line and runs a command of serve/cli/commands. Exit codes: 0 success, 2 wrong
// usage, 1 failure.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/help_format.h>
#include <qing/serve/cli/training_ranks.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/common/version.h>

namespace {

namespace cli = qing::serve::cli;

constexpr int kFailure = 1;
constexpr int kUsage = 2;

int fail(const char* what, int code) {
  std::fflush(stdout);
  std::fprintf(stderr, "%s%s\n", cli::error_prefix().c_str(), what);
  return code;
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
    app.parse(static_cast<int>(dashes - argv), argv);
    if (!line.after_dashes.empty() && !line.takes_after_dashes) {
      throw cli::UsageError(app.get_subcommands().front()->get_name() + " takes no arguments after --");
    }
  } catch (const CLI::Success& help) { return app.exit(help); } catch (const CLI::ParseError& error) {
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
  } catch (const cli::UsageError& error) { return fail(error.what(), kUsage); } catch (const std::exception& error) {
    return fail(error.what(), kFailure);
  } catch (...) {
    return fail("an unknown exception; please report it with the command line that led to it", kFailure);
  }
}
