// Changes of a registry, without a socket.
#include <filesystem>

#include "nn/temp_folder.h"
#include "serve/fake_models.h"

namespace qing::serve {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;

class RegistryChanges : public ::testing::Test {
 protected:
  void have(const std::string& folder) { fs::create_directories(root.path() / folder); }
  Registry reopened() { return Registry(root.path(), load_fake); }

  TempFolder root;
};

TEST_F(RegistryChanges, LoadsRollsBackAndRemembers) {
  have("mood/1"), have("mood/2");
  {
    Registry registry = reopened();
    registry.load();
    EXPECT_THROW(registry.rollback("mood"), ValueError);
    EXPECT_EQ(registry.load("mood", 1).version, 1);
    EXPECT_EQ(registry.find("mood")->previous, 2);
    EXPECT_EQ(registry.rollback("mood").version, 2);
    EXPECT_EQ(registry.rollback("mood").version, 1);
    registry.rescan();
    EXPECT_EQ(registry.find("mood")->version, 1);
  }
  Registry registry = reopened();
  registry.load();
  EXPECT_EQ(registry.find("mood")->version, 1);
  EXPECT_EQ(registry.find("mood")->previous, 2);
  have("mood/3");
  registry.rescan();
  EXPECT_EQ(registry.find("mood")->version, 3);
  EXPECT_EQ(registry.rollback("mood").version, 1);
}

TEST_F(RegistryChanges, AFailureReplacesNothingAndStaysWithTheModel) {
  have("mood/1");
  Registry registry = reopened();
  registry.load();
  const auto good = registry.find("mood")->classifier;
  EXPECT_THROW(registry.add("twice", 1, std::make_shared<TwiceNamed>()), ValueError);
  for (const char* bad : {"mood/2/broken", "mood/3/nan", "mood/4/twice"}) {
    have(bad);
    EXPECT_THROW(registry.load("mood", 0), DataError) << bad;
    registry.rescan();
    const Model model = *registry.find("mood");
    EXPECT_EQ(model.version, 1);
    EXPECT_EQ(model.classifier, good);
    EXPECT_NE(model.error.find(std::string("version ") + bad[5]), std::string::npos) << model.error;
  }
  EXPECT_FALSE(fs::exists(root.path() / ChoiceFiles::kFile));
  EXPECT_EQ(registry.load("mood", 1).error, "");
}

TEST_F(RegistryChanges, WhatMayPassIsToldFromADamagedVersion) {
  have("mood/1");
  have("mood/2/unreadable");
  have("mood/3/broken");
  bool no_memory = true;
  Registry registry(root.path(), [&](const fs::path& folder) {
    if (no_memory && folder.filename() == "4") throw std::bad_alloc();
    return load_fake(folder);
  });
  registry.load();
  EXPECT_THROW(registry.load("mood", 2), UnreadableVersion);
  EXPECT_EQ(registry.find("mood")->error, "version 2: too many open files");
  EXPECT_THROW(registry.load("mood", 3), DamagedVersion);
  EXPECT_THROW(registry.set_trial("mood", {2, 0.5, false}), UnreadableVersion);
  have("mood/4");
  EXPECT_THROW(registry.load("mood", 4), std::bad_alloc);
  EXPECT_EQ(registry.find("mood")->version, 1);
  EXPECT_NE(registry.find("mood")->error.find("version 4"), std::string::npos) << registry.find("mood")->error;
  fs::remove(root.path() / "mood/2/unreadable");
  no_memory = false;
  EXPECT_EQ(registry.load("mood", 2).version, 2);
  EXPECT_EQ(registry.load("mood", 4).version, 4);
}

TEST_F(RegistryChanges, OtherLabelsReplaceNothingUnlessTheCallerSaysSo) {
  have("mood/1"), have("mood/2/other");
  Registry registry = reopened();
  registry.load();
  EXPECT_EQ(registry.find("mood")->version, 2) << "nothing answered before, so nothing is replaced";
  const std::string why = test::message_of<OtherLabels>([&] { registry.load("mood", 1); });
  for (const char* words : {"mood: version 1 gives the labels negative, neutral, positive", "calm, angry, sad",
                            "version 2, which answers", "replace_labels"}) {
    EXPECT_NE(why.find(words), std::string::npos) << why;
  }
  EXPECT_EQ(registry.find("mood")->version, 2);
  EXPECT_EQ(registry.load("mood", 1, Registry::Replacing::kAnyLabels).version, 1);
  EXPECT_EQ(registry.rollback("mood").version, 2) << "a return needs no word";
  EXPECT_EQ(registry.rollback("mood").version, 1);
  registry.unload("mood");
  EXPECT_EQ(registry.load("mood", 2).version, 2) << "nothing answers, so nothing is replaced";
}

TEST_F(RegistryChanges, APublishedVersionOfOtherLabelsWaits) {
  have("mood/1");
  Registry registry = reopened();
  registry.load();
  have("mood/2"), have("mood/3/other");
  for (int i = 0; i < 2; ++i) {
    const auto failures = registry.rescan();
    ASSERT_TRUE(failures.contains("mood"));
    EXPECT_EQ(failures.at("mood").version, 3);
    EXPECT_NE(failures.at("mood").text().find("version 3: gives the labels calm"), std::string::npos)
        << failures.at("mood").text();
    EXPECT_EQ(registry.find("mood")->version, 2) << "the next version with the same labels answers";
  }
  EXPECT_FALSE(registry.index().back().ready);
  {
    Registry again = reopened();
    again.load();
    EXPECT_EQ(again.find("mood")->version, 2) << "a start keeps the labels, too";
    EXPECT_NE(again.find("mood")->error.find("version 3"), std::string::npos);
    EXPECT_EQ(again.load("mood", 3, Registry::Replacing::kAnyLabels).version, 3);
  }
  EXPECT_TRUE(registry.rescan().empty());
  EXPECT_EQ(registry.find("mood")->version, 3) << "what another server's operator has chosen is followed";
}

TEST_F(RegistryChanges, ALostVersionIsReplacedWhateverItsLabelsWere) {
  have("mood/1"), have("mood/2/other");
  {
    Registry registry = reopened();
    registry.load();
    registry.load("mood", 2);
  }
  fs::remove_all(root.path() / "mood/2");
  have("mood/3");
  Registry registry = reopened();
  registry.load();
  EXPECT_EQ(registry.find("mood")->version, 3);
}

// A skipped folder must be logged.
TEST_F(RegistryChanges, NamesAFolderWithAnInvalidModelName) {
  have("情感分析/1");
  have(".hidden/1");
  Registry alone = reopened();
  const std::string why = test::message_of<DataError>([&] { alone.load(); });
  EXPECT_NE(why.find("情感分析: version 1: the folder's name is no model's name"), std::string::npos) << why;
  EXPECT_EQ(why.find("hidden"), std::string::npos);
  have("mood/1");
  have("a\xFF/2");
  Registry registry = reopened();
  registry.load();
  EXPECT_EQ(registry.list().size(), 1U);
  const auto failures = registry.rescan();
  EXPECT_EQ(failures.size(), 2U);
  EXPECT_NE(failures.at("情感分析").why.find("rename the folder"), std::string::npos);
  EXPECT_TRUE(failures.contains("a\\xFF"));
}

TEST_F(RegistryChanges, NamesAFolderWithoutVersions) {
  have("flat"), have("named/v2"), have("empty"), have(".hidden/v2"), have("情感分析");
  root.write("flat/config.json", "{}");
  root.write("named/v2/config.json", "{}");
  root.write("情感分析/config.json", "{}");
  Registry alone = reopened();
  const std::string why = test::message_of<DataError>([&] { alone.load(); });
  EXPECT_NE(why.find("flat: holds no version; put the model into flat/1/"), std::string::npos) << why;
  have("mood/1");
  Registry registry = reopened();
  registry.load();
  EXPECT_EQ(registry.list().size(), 1U);
  const auto failures = registry.rescan();
  EXPECT_EQ(failures.size(), 3U);
  EXPECT_EQ(failures.at("flat").text(), "holds no version; put the model into flat/1/");
  EXPECT_EQ(failures.at("named").text(), "holds no version; put the model into named/1/");
  EXPECT_EQ(failures.at("情感分析").text().find("holds no version; put the model into NAME/1/"), 0U);
  for (const auto& entry : registry.index()) EXPECT_EQ(entry.name, "mood") << entry.version;
  have("flat/1");
  EXPECT_EQ(registry.rescan().size(), 2U);
  EXPECT_TRUE(registry.find("flat"));
}

TEST_F(RegistryChanges, ABrokenNewVersionDoesNotPreventAStart) {
  have("mood/1");
  Registry first = reopened();
  first.load();
  first.load("mood", 1);
  have("mood/2/broken");
  Registry second = reopened();
  second.load();
  EXPECT_EQ(second.find("mood")->version, 1);
  EXPECT_NE(second.find("mood")->error.find("broken weights"), std::string::npos);
}

TEST_F(RegistryChanges, FailuresThatARunningServerSurvivesDoNotPreventAStart) {
  have("mood/1"), have("mood/2"), have("other/1"), have("third/1");
  Registry first = reopened();
  first.load();
  first.set_alias("stable", {"mood", 1});
  have("mood/3/broken"), have("mood/4/broken");
  root.write("third/limits.json", R"({"texts":"many"})");
  fs::create_symlink("loop", root.path() / "loop");  // cannot be looked into
  EXPECT_EQ(first.rescan().size(), 2U);
  EXPECT_EQ(first.find("mood")->version, 2);
  EXPECT_EQ(first.find("third")->version, 1);
  fs::remove_all(root.path() / "mood/1");
  Registry second = reopened();
  second.load();
  EXPECT_EQ(second.find("mood")->version, 2);
  EXPECT_NE(second.find("mood")->error.find("version 4: broken weights"), std::string::npos);
  EXPECT_EQ(second.find("other")->version, 1);
  EXPECT_FALSE(second.find("third").has_value());
  EXPECT_NE(second.failure("third").find("texts"), std::string::npos);
  EXPECT_FALSE(second.find("stable").has_value());
  for (const char* folder : {"mood/2", "other/1"}) have(std::string(folder) + "/broken");
  const std::string why = test::message_of<DataError>([&] { reopened().load(); });
  for (const char* part : {"mood: version 4", "other: version 1", "third: version 1"}) {
    EXPECT_NE(why.find(part), std::string::npos) << why;
  }
}

TEST_F(RegistryChanges, ServersOfAFolderKeepEachOthersChanges) {
  have("mood/1"), have("mood/2"), have("other/1");
  Registry a = reopened(), b = reopened();
  a.load(), b.load();
  a.set_alias("live", {"mood", 1});
  a.load("mood", 1);
  const auto other = b.find("other")->classifier;
  b.set_alias("last", {"other"});
  EXPECT_EQ(b.find("mood")->version, 2);
  EXPECT_TRUE(b.rescan().empty());
  EXPECT_EQ(b.find("mood")->version, 1);
  EXPECT_EQ(b.find("mood")->previous, 2);
  EXPECT_EQ(b.find("live")->version, 1);
  EXPECT_EQ(b.find("other")->classifier, other);  // not read again
  EXPECT_THROW(a.unload("other"), ValueError);    // b's alias, which a has not taken up
  b.remove_alias("live");
  b.unload("mood");
  EXPECT_TRUE(a.rescan().empty());
  EXPECT_FALSE(a.find("mood").has_value());
  EXPECT_FALSE(a.find("live").has_value());
  Registry c = reopened();
  c.load();
  EXPECT_EQ(c.find("last")->name, "other");
}

TEST_F(RegistryChanges, ANewModelDoesNotReplaceAnAlias) {
  have("mood/1");
  Registry registry = reopened();
  registry.load();
  registry.set_alias("live", {"mood"});
  have("live/1");
  EXPECT_THROW(registry.load("live", 0), ValueError);
  EXPECT_EQ(registry.rescan().count("live"), 1U);
  EXPECT_EQ(registry.find("live")->name, "mood");
  Registry again = reopened();
  again.load();
  EXPECT_EQ(again.find("live")->name, "mood");
}

TEST_F(RegistryChanges, AliasesSurviveARestart) {
  have("mood/1"), have("mood/2");
  {
    Registry registry = reopened();
    registry.load();
    registry.set_alias("live", {"mood"});
    registry.set_alias("stable", {"mood", 1});
    EXPECT_THROW(registry.set_alias("mood", {"mood"}), ValueError);
    EXPECT_THROW(registry.set_alias("../x", {"mood"}), ValueError);
    EXPECT_THROW(registry.set_alias("other", {"none"}), IndexError);
    EXPECT_THROW(registry.set_alias("other", {"mood", 7}), IndexError);
    EXPECT_THROW(registry.unload("mood"), ValueError);
  }
  Registry registry = reopened();
  registry.load();
  EXPECT_EQ(registry.find("live")->version, 2);
  EXPECT_EQ(registry.find("live")->name, "mood");
  EXPECT_EQ(registry.find("stable")->version, 1);
  EXPECT_EQ(registry.find("mood", 1)->version, 1);
  registry.remove_alias("stable");
  EXPECT_FALSE(registry.find("stable").has_value());
  EXPECT_FALSE(registry.find("mood", 1).has_value());
  EXPECT_THROW(registry.remove_alias("stable"), IndexError);
}

TEST_F(RegistryChanges, AnUnloadedModelStaysUnloaded) {
  have("mood/1"), have("other/1");
  Registry registry = reopened();
  registry.load();
  registry.unload("mood");
  EXPECT_THROW(registry.unload("mood"), IndexError);
  have("mood/2");
  registry.rescan();
  EXPECT_FALSE(registry.find("mood").has_value());
  Registry again = reopened();
  again.load();
  EXPECT_FALSE(again.find("mood").has_value());
  EXPECT_EQ(again.load("mood", 0).version, 2);
}

TEST_F(RegistryChanges, KnowsOnlyNamesInItsFolder) {
  have("mood/1");
  Registry registry = reopened();
  registry.load();
  for (const char* name : {"none", "..", "../mood", "mood/1", ""}) {
    EXPECT_THROW(registry.load(name, 0), IndexError) << name;
  }
  EXPECT_THROW(registry.load("mood", 2), IndexError);
  Registry without;
  without.add("mood", 1, std::make_shared<FakeClassifier>());
  EXPECT_THROW(without.load("mood", 1), ValueError);
}

TEST_F(RegistryChanges, AChangeThatCannotBeWrittenDoesNotHappen) {
  have("mood/1"), have("mood/2");
  Registry registry = reopened();
  registry.load();
  have(std::string(ChoiceFiles::kFile) + "/in_the_way");
  EXPECT_THROW(registry.load("mood", 1), IoError);
  EXPECT_THROW(registry.set_alias("live", {"mood"}), IoError);
  EXPECT_EQ(registry.find("mood")->version, 2);
  EXPECT_FALSE(registry.find("live").has_value());
}

TEST_F(RegistryChanges, NamesAnUnreadableState) {
  have("mood/1");
  for (const char* text : {"", "{", "{}", R"({"models":[],"aliases":{}})", R"({"models":{"a":{}},"aliases":{}})",
                           R"({"models":{},"models":{},"aliases":{}})"}) {
    root.write(ChoiceFiles::kFile, text);
    const std::string why = test::message_of<DataError>([&] { reopened().load(); });
    EXPECT_NE(why.find(ChoiceFiles::kFile), std::string::npos) << text;
  }
}

// Versions of aliases and trials that cannot be loaded are in the index too, as long as the alias or trial exists.
TEST_F(RegistryChanges, TheIndexHasTheVersionsOfAliasesAndTrialsThatFailed) {
  have("mood/1"), have("mood/2"), have("mood/3");
  Registry first = reopened();
  first.load();
  first.set_alias("stable", {"mood", 1});
  first.set_trial("mood", {2, 0.5, false});
  EXPECT_EQ(first.served_versions("mood"), (std::vector<std::int64_t>{1, 2, 3}));
  have("mood/1/broken"), have("mood/2/broken");
  Registry second = reopened();
  second.load();
  EXPECT_EQ(second.served_versions("mood"), (std::vector<std::int64_t>{3}));
  const auto index = second.index();
  ASSERT_EQ(index.size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(index[i].version, static_cast<std::int64_t>(i) + 1);
    EXPECT_EQ(index[i].ready, i == 2);
    EXPECT_EQ(index[i].reason, i == 2 ? "" : "broken weights");
  }
  second.remove_alias("stable");
  EXPECT_EQ(second.index().size(), 2U);
  fs::remove_all(root.path() / "mood/2/broken");
  second.set_trial("mood", {2, 0.5, false});
  EXPECT_EQ(second.served_versions("mood"), (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(second.index().size(), 2U);
}

TEST_F(RegistryChanges, AnAliasThatTheCallerMayNotChangeIsANameInUse) {
  have("mood/1"), have("other/1");
  Registry first = reopened(), second = reopened();
  first.load();
  second.load();
  first.set_alias("live", {"mood"});
  const auto of_other = [](const std::string& model) { return model == "other"; };
  const auto refusal_of = [&](const std::string& alias) -> std::string {
    try {
      second.set_alias(alias, {"other"}, of_other);
      return "";
    } catch (const ValueError& error) { return error.what(); }
  };
  // The second registry has not read the alias, which is in the file alone.
  EXPECT_EQ(refusal_of("live"), "alias 'live': the name is in use; take another");
  EXPECT_EQ(refusal_of("mood"), "alias 'mood': the name is in use; take another");
  EXPECT_THROW(second.remove_alias("live", of_other), IndexError);
  Registry third = reopened();
  third.load();
  EXPECT_EQ(third.find("live")->name, "mood");
  EXPECT_EQ(refusal_of("mine"), "");
  second.set_alias("mine", {"other", 1}, of_other);
  second.remove_alias("mine", of_other);
  second.set_alias("live", {"other"});
  EXPECT_EQ(second.find("live")->name, "other");
}

// Kubernetes mounts a volume like this: links into a folder whose name begins with two dots.
TEST_F(RegistryChanges, FollowsLinksAndSkipsFoldersThatAreNotVersions) {
  have("..2026_01/mood/1"), have("..2026_01/mood/05"), have("..2026_01/mood/99999999999999999999"), have("elsewhere/7");
  fs::create_directory_symlink("..2026_01", root.path() / "..data");
  fs::create_directory_symlink("..data/mood", root.path() / "mood");
  fs::create_directory_symlink("../../elsewhere/7", root.path() / "mood/2");
  fs::create_directory_symlink("nowhere", root.path() / "mood/3");
  root.write("..2026_01/mood/4", "a file");
  Registry registry = reopened();
  registry.load();
  EXPECT_EQ(registry.find("mood")->version, 2);
  EXPECT_EQ(registry.find("mood")->versions, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(registry.list().size(), 2U);  // and elsewhere
}

}  // namespace
}  // namespace qing::serve
