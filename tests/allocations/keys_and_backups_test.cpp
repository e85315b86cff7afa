// Keys, backups and checkpoints, with each memory allocation failing.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/layers.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/training/checkpoint.h>
#include <qing/serve/common/draft.h>
#include <qing/serve/keys/key_backup.h>
#include <qing/serve/keys/key_guard.h>
#include <qing/serve/keys/key_store.h>
#include <qing/serve/maintenance/project_data.h>
#include <qing/serve/maintenance/state_backup.h>
#include <qing/serve/state/feedback.h>

#include "failing_allocations.h"
#include "state_text.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;
using test::fail_each_allocation;
using test::Operation;
using test::Subject;

std::string keys_text(const fs::path& file) {
  if (!fs::exists(file)) return {};
  std::string text;
  for (const StoredKey& key : KeyStore(file).keys()) {
    text += fmt::format("{} {} secrets {} revoked {}\n", key.name, key.project, key.secrets.size(), key.revoked != 0);
  }
  Database database(file, Database::Mode::kRead);
  text += test::rows_text(database, "PRAGMA integrity_check", 1);
  return text + test::rows_text(database, "SELECT requests, tokens FROM usage", 2);
}

// The hidden names in a folder, but for the logs of databases, after the clean-up of the next command.
std::string names_text(const fs::path& folder) {
  remove_abandoned_file_drafts(folder / "x");
  std::string text;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with("-wal") && !name.ends_with("-shm")) text += name.starts_with('.') ? name + "\n" : "";
  }
  return text;
}

using Act = std::function<void(KeyStore&)>;

Subject on_keys(const std::string& name, const Act& prepare, const Act& act, bool reads = false) {
  return {.name = name,
          .prepare =
              [prepare](const fs::path& folder) {
                KeyStore store(folder / "keys.db", true);
                store.create({.name = "first"});
                prepare(store);
              },
          .operation =
              [act](const fs::path& folder) {
                auto store = std::make_shared<KeyStore>(folder / "keys.db");
                return Operation{[store, act] { act(*store); }, [folder] { return keys_text(folder / "keys.db"); }};
              },
          .reads = reads};
}

const Act kNothing = [](KeyStore&) {};
std::string first_id(KeyStore& store) { return store.keys().at(0).id; }

TEST(FailingAllocations, Keys) {
  fail_each_allocation({.name = "keys: make a store",
                        .prepare = [](const fs::path&) {},
                        .operation =
                            [](const fs::path& folder) {
                              const auto made = [folder] {
                                // A database without tables counts as no store.
                                const fs::path file = folder / "keys.db";
                                const bool empty = !fs::exists(file) || fs::file_size(file) == 0;
                                return (empty ? "" : keys_text(file)) + names_text(folder);
                              };
                              return Operation{[folder] { KeyStore(folder / "keys.db", true); }, made};
                            }});
  fail_each_allocation(
      on_keys("keys: create", kNothing, [](KeyStore& store) { store.create({.name = "second", .project = "b"}); }));
  fail_each_allocation(on_keys(
      "keys: read", kNothing, [](KeyStore& store) { EXPECT_EQ(store.keys().at(0).name, "first"); }, true));
  fail_each_allocation(on_keys("keys: rotate", kNothing, [](KeyStore& store) { store.rotate(first_id(store), 3600); }));
  fail_each_allocation(on_keys("keys: revoke", kNothing, [](KeyStore& store) { store.revoke(first_id(store)); }));
  fail_each_allocation(on_keys("keys: usage", kNothing, [](KeyStore& store) {
    store.add_usage({{"0123456789abcdef", 1, 2, 3}, {"0123456789abcdee", 1, 4, 5}});
  }));
}

TEST(FailingAllocations, CheckingAKey) {
  std::string key;
  const Act remember = [&key](KeyStore& store) { key = store.create({.name = "second"}); };
  Subject subject = on_keys("keys: check", remember, kNothing, true);
  subject.operation = [&key](const fs::path& folder) {
    auto guard = std::make_shared<KeyGuard>(folder / "keys.db");
    return Operation{[guard, &key] {
                       EXPECT_EQ(guard->project(guard->admit(key, Scope::kPredict)), "default");
                       bool refused = false;
                       try {
                         guard->admit(key, Scope::kAdmin);
                       } catch (const Refusal&) { refused = true; }
                       EXPECT_TRUE(refused);
                     },
                     [] { return std::string("the store counts requests"); }};
  };
  subject.least = 1;
  fail_each_allocation(subject);
}

const KeyBackupOptions kOverwrite{.overwrite = true, .pepper_file = {}};

TEST(FailingAllocations, BackupsOfKeys) {
  const auto found = [](const fs::path& folder, const char* file) {
    return keys_text(folder / file) + keys_text(folder / "keys.db") + names_text(folder);
  };
  Subject backup = on_keys("keys: back up", kNothing, kNothing);
  backup.operation = [&](const fs::path& folder) {
    return Operation{[folder] { backup_keys(folder / "keys.db", folder / "backup.db", kOverwrite); },
                     [&found, folder] { return found(folder, "backup.db"); }};
  };
  fail_each_allocation(backup);
  Subject restore = on_keys("keys: restore", kNothing, kNothing);
  restore.prepare = [](const fs::path& folder) {
    KeyStore store(folder / "keys.db", true);
    store.create({.name = "first"});
    backup_keys(folder / "keys.db", folder / "backup.db", {});
    store.create({.name = "second"});
  };
  restore.operation = [&](const fs::path& folder) {
    return Operation{[folder] { restore_keys(folder / "backup.db", folder / "keys.db", kOverwrite); },
                     [&found, folder] { return found(folder, "backup.db"); }};
  };
  fail_each_allocation(restore);
}

void fill_state(const fs::path& folder) {
  const State state(folder / "state");
  Database database = state.open();
  Upload upload(state.files());
  upload.write("label\ttext\npositive\tgood\nnegative\tbad\n");
  FileStore(database, state).create({"a", "a.tsv", "fine-tune"}, upload, 1 << 20);
  FeedbackStore(database).add({.project = "a", .model = "mood", .request = "r", .label = "x", .text = "a text"});
}

TEST(FailingAllocations, ABackupOfAState) {
  const auto found = [](const fs::path& folder) {
    std::string text = fs::exists(folder / "a.tar") ? "an archive\n" : "";
    if (!text.empty()) {
      restore_state(folder / "a.tar", State(folder / "check"));
      text += test::state_text(folder / "check");
      fs::remove_all(folder / "check");
    }
    return text + test::state_text(folder / "state") + names_text(folder);
  };
  fail_each_allocation({.name = "state: back up", .prepare = fill_state, .operation = [&](const fs::path& folder) {
                          return Operation{[folder] { back_up_state(State(folder / "state"), folder / "a.tar"); },
                                           [&found, folder] { return found(folder); }};
                        }});
}

TEST(FailingAllocations, ARestoreOfAState) {
  const auto archived = [](const fs::path& folder) {
    fill_state(folder);
    back_up_state(State(folder / "state"), folder / "a.tar");
  };
  const auto restored = [](const fs::path& folder) {
    remove_abandoned_restores(State(folder / "copy"));
    return (fs::exists(folder / "copy") ? test::state_text(folder / "copy") : "") + names_text(folder);
  };
  fail_each_allocation({.name = "state: restore", .prepare = archived, .operation = [&](const fs::path& folder) {
                          return Operation{[folder] { restore_state(folder / "a.tar", State(folder / "copy")); },
                                           [&restored, folder] { return restored(folder); }};
                        }});
}

TEST(FailingAllocations, AnExportOfAProject) {
  const auto exported = [](const fs::path& folder) {
    return (fs::exists(folder / "b.tar") ? "an archive\n" : "") + test::state_text(folder / "state") +
           names_text(folder);
  };
  fail_each_allocation({.name = "project: export", .prepare = fill_state, .operation = [&](const fs::path& folder) {
                          return Operation{[folder] { export_project(State(folder / "state"), "a", folder / "b.tar"); },
                                           [&exported, folder] { return exported(folder); }};
                        }});
}

// A model with its optimizer, as a training has them.
struct Training {
  Training() : rng(7), model(3, 2, rng), state(rng) {
    model.set_requires_grad(true);
    optimizer = std::make_unique<optim::Adam>(model.parameters());
  }
  void step() {
    model.zero_grad();
    backward(sum(model(Tensor::full({2, 3}, 1))));
    optimizer->step();
  }
  optim::CheckpointParts parts() { return {{"optimizer", optimizer.get()}, {"rng", &state}}; }
  std::string text() {
    std::string text;
    for (const Tensor& weight : model.parameters()) {
      for (const float value : weight.span<float>()) text += fmt::format("{} ", value);
    }
    return text;
  }

  Generator rng;
  nn::Linear model;
  std::unique_ptr<optim::Adam> optimizer;
  optim::GeneratorState state;
};

std::string checkpoint_text(const fs::path& folder) {
  const std::optional<fs::path> latest = optim::latest_checkpoint(folder);
  if (!latest) return {};
  Training training;
  const std::int64_t step = optim::load_checkpoint(*latest, training.model, training.parts());
  return fmt::format("{}: {}", step, training.text());
}

TEST(FailingAllocations, Checkpoints) {
  const auto prepare = [](const fs::path& folder) {
    Training training;
    optim::CheckpointWriter(folder / "checkpoints", {.keep = 1}).save(1, training.model, training.parts());
  };
  const auto all = [](const fs::path& folder) { return checkpoint_text(folder / "checkpoints"); };
  fail_each_allocation({.name = "checkpoint: save", .prepare = prepare, .operation = [&](const fs::path& folder) {
                          auto training = std::make_shared<Training>();
                          auto writer = std::make_shared<optim::CheckpointWriter>(folder / "checkpoints",
                                                                                  optim::CheckpointOptions{.keep = 1});
                          training->step();
                          return Operation{[=] { writer->save(2, training->model, training->parts()); },
                                           [&all, folder] { return all(folder); }};
                        }});
  fail_each_allocation({.name = "checkpoint: load",
                        .prepare = prepare,
                        .operation =
                            [](const fs::path& folder) {
                              auto training = std::make_shared<Training>();
                              training->step();
                              return Operation{[=] {
                                                 optim::load_checkpoint(
                                                     *optim::latest_checkpoint(folder / "checkpoints"), training->model,
                                                     training->parts());
                                               },
                                               [=] { return training->text(); }};
                            },
                        .may_be_half = true});
}

}  // namespace
}  // namespace qing::serve
