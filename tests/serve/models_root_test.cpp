// What the folder that a server is given for its models may be.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <qing/serve/registry/registry.h>

#include "nn/temp_folder.h"
#include "serve/serve_fixture.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;

void make_model(const fs::path& folder) {
  fs::create_directories(folder);
  std::ofstream(folder / "config.json") << "{}";
}

// The models that a registry of a folder serves, as "NAME VERSION".
std::vector<std::string> served(const fs::path& folder, const fs::path& second = {}) {
  const auto load = [](const fs::path& version) {
    if (!fs::exists(version / "config.json")) throw DataError("no model");
    return std::make_shared<FakeClassifier>();
  };
  Registry registry(folder, load, second);
  registry.load();
  std::vector<std::string> names;
  for (const Model& model : registry.list()) names.push_back(fmt::format("{} {}", model.name, model.version));
  return names;
}

using Names = std::vector<std::string>;

TEST(ModelsRoot, IsAFolderOfModelsOrOfOneModelOrOneVersion) {
  const TempFolder root;
  make_model(root.path() / "models/mood/3");
  make_model(root.path() / "models/mood/12");
  make_model(root.path() / "models/spam/1");
  make_model(root.path() / "trained/out");
  fs::create_directories(root.path() / "trained/out/run");
  EXPECT_EQ(served(root.path() / "models"), (Names{"mood 12", "spam 1"}));
  EXPECT_EQ(served(root.path() / "models/mood"), Names{"mood 12"});
  EXPECT_EQ(served(root.path() / "models/mood/"), Names{"mood 12"});
  EXPECT_EQ(served(root.path() / "models/mood/3"), Names{"mood 3"});
  EXPECT_EQ(served(root.path() / "trained/out"), Names{"out 1"});
  EXPECT_EQ(served(root.path() / "trained/out/."), Names{"out 1"});
}

TEST(ModelsRoot, AnOnlyModelHasLimitsChoicesAndVersionsOfJobs) {
  const TempFolder root;
  const fs::path model = root.path() / "models/mood", second = root.path() / "state";
  make_model(model / "1");
  make_model(model / "2");
  make_model(second / "mood/5");
  make_model(second / "other/1");
  std::ofstream(model / "limits.json") << R"({"texts": 7})";
  EXPECT_EQ(served(model, second), (Names{"mood 5", "other 1"}));
  Registry registry(model, [](const fs::path&) { return std::make_shared<FakeClassifier>(); });
  registry.load();
  EXPECT_EQ(registry.find("mood")->limits.texts, 7U);
  EXPECT_EQ(registry.find("mood")->versions, (std::vector<std::int64_t>{1, 2}));
  registry.load("mood", 1);
  EXPECT_EQ(served(model), Names{"mood 1"}) << "the choice is kept beside the versions";
  make_model(model / "3");
  registry.rescan();
  EXPECT_EQ(registry.find("mood")->version, 3);
  EXPECT_THROW(registry.load("spam", 0), IndexError);
}

TEST(ModelsRoot, RefusesAModelWhoseFolderHasNoModelsName) {
  const TempFolder root;
  make_model(root.path() / "my model");
  try {
    served(root.path() / "my model");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string_view(error.what()).find("rename the folder"), std::string_view::npos) << error.what();
  }
}

}  // namespace
}  // namespace qing::serve
