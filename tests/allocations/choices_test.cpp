// The registry's choices and versions on their way, with each memory allocation failing.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <memory>
#include <string>

#include <qing/serve/maintenance/version_folder.h>
#include <qing/serve/registry/model_manifest.h>
#include <qing/serve/registry/registry.h>

#include "failing_allocations.h"
#include "serve/serve_fixture.h"
#include "small_disk.h"
#include "state_text.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;
using test::fail_each_allocation;
using test::Operation;
using test::Subject;

std::shared_ptr<Registry> registry_of(const fs::path& folder) {
  const Registry::Loader loader = [](const fs::path&) { return std::make_shared<FakeClassifier>(); };
  return std::make_shared<Registry>(folder / "root", loader, folder / "state/models");
}

std::shared_ptr<Registry> opened_registry(const fs::path& folder) {
  auto registry = registry_of(folder);
  registry->load();
  return registry;
}

// What a server that starts serves.
std::string served(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / "state/models")) {
    if (!entry.is_directory()) continue;
    remove_interrupted_versions(entry.path(), [&](std::int64_t version) {
      ChoiceFiles::withdraw(folder / "state/models", entry.path().filename().string(), version);
    });
  }
  const auto registry = opened_registry(folder);
  std::string text;
  for (const Model& model : registry->list()) {
    text += fmt::format("{} {} before {} trial {} {}\n", model.name, model.version, model.previous, model.trial.version,
                        model.trial.share);
  }
  for (const auto& [name, alias] : registry->aliases())
    text += fmt::format("{} {} {}\n", name, alias.model, alias.version);
  return text;
}

std::string served_and_files(const fs::path& folder) { return served(folder) + test::tree_text(folder); }

void have(const fs::path& version) {
  fs::create_directories(version);
  std::ofstream(version / "weights") << "abc";
  write_manifest(version);
}

using Change = std::function<void(Registry&)>;

Subject on_registry(const std::string& name, const Change& prepare, const Change& change, bool reads = false) {
  return {
      .name = name,
      .prepare =
          [prepare](const fs::path& folder) {
            for (const char* version : {"root/mood/1", "root/mood/2", "state/models/ft/1"}) have(folder / version);
            const auto registry = opened_registry(folder);
            registry->load("mood", 1);
            prepare(*registry);
          },
      .operation =
          [change](const fs::path& folder) {
            const auto registry = opened_registry(folder);
            return Operation{[registry, change] { change(*registry); }, [folder] { return served_and_files(folder); }};
          },
      .reads = reads};
}

const Change kNothing = [](Registry&) {};

TEST(FailingAllocations, ChoicesOfTheRegistry) {
  const Change trial = [](Registry& registry) { registry.set_trial("mood", {2, 0.5, false}); };
  const Change alias = [](Registry& registry) { registry.set_alias("live", {"mood", 2}); };
  const Change load = [](Registry& registry) { registry.load("mood", 2); };
  fail_each_allocation(on_registry("registry: load", kNothing, load));
  fail_each_allocation(on_registry("registry: unload", kNothing, [](Registry& registry) {
    if (registry.find("mood")) registry.unload("mood");
  }));
  fail_each_allocation(on_registry("registry: set an alias", kNothing, alias));
  fail_each_allocation(
      on_registry("registry: remove an alias", alias, [](Registry& registry) { registry.remove_alias("live"); }));
  fail_each_allocation(on_registry("registry: set a trial", kNothing, trial));
  fail_each_allocation(
      on_registry("registry: remove a trial", trial, [](Registry& registry) { registry.remove_trial("mood"); }));
  fail_each_allocation(on_registry("registry: restore", trial, [](Registry& registry) {
    Model before = *registry.find("mood");
    before.trial = {};
    before.candidate = nullptr;
    registry.restore(before);
  }));
  fail_each_allocation(on_registry(
      "registry: rescan", alias,
      [](Registry& registry) {
        // A version that no memory was left for is served at the next look.
        if (registry.rescan(); !registry.find("live")) registry.rescan();
        EXPECT_TRUE(registry.find("live"));
      },
      true));
  fail_each_allocation(on_registry(
      "registry: read", trial,
      [](Registry& registry) {
        EXPECT_EQ(registry.list().size(), 2U);
        EXPECT_FALSE(registry.index().empty());
        EXPECT_TRUE(registry.written_trial("mood"));
      },
      true));
}

TEST(FailingAllocations, OpeningTheRegistry) {
  Subject subject = on_registry(
      "registry: open",
      [](Registry& registry) {
        registry.set_trial("mood", {2, 0.5, false});
      },
      kNothing, true);
  subject.operation = [](const fs::path& folder) {
    return Operation{[folder] {
                       const auto registry = opened_registry(folder);
                       registry->rescan();
                       EXPECT_EQ(registry->find("mood").value().version, 1);
                     },
                     [folder] { return served_and_files(folder); }};
  };
  fail_each_allocation(subject);
}

TEST(FailingAllocations, DiscoveringAModel) {
  Subject subject = on_registry(
      "registry: discover", kNothing,
      [](Registry& registry) {
        registry.discover("ft");
        EXPECT_TRUE(registry.find("ft"));
      },
      true);
  subject.operation = [](const fs::path& folder) {
    // It does not know the second root's model yet.
    const auto registry = registry_of(folder);
    fs::rename(folder / "state/models/ft", folder / "ft");
    registry->load();
    fs::rename(folder / "ft", folder / "state/models/ft");
    return Operation{[registry] {
                       registry->discover("ft");
                       EXPECT_TRUE(registry->find("ft"));
                     },
                     [folder] { return served_and_files(folder); }};
  };
  fail_each_allocation(subject);
}

TEST(FailingAllocations, ANewVersion) {
  Subject subject = on_registry("new version", kNothing, {});
  subject.operation = [](const fs::path& folder) {
    fs::create_directories(folder / "state/models/mood");  // it stays, with a lock alone
    const auto registry = opened_registry(folder);
    return Operation{[folder, registry] {
                       const Model before = *registry->find("mood");
                       try {
                         NewVersion made(folder / "state/models/ft/1", folder / "state/models", "mood", 3);
                         registry->load("mood", 3);
                         made.keep();
                       } catch (...) {
                         if (registry->find("mood")->version != 1) registry->restore(before);
                         throw;
                       }
                     },
                     [folder] {
                       std::string text = served(folder);  // which cleans up
                       for (const std::string& name : test::names_in(folder / "state/models/mood")) {
                         if (name != ".registry.lock") text += name + " ";
                       }
                       return text;
                     }};
  };
  fail_each_allocation(subject);
}

}  // namespace
}  // namespace qing::serve
