#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include <qing/nn/models/classifier_config.h>
#include <qing/nn/models/task_model.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

#include "nn/temp_folder.h"

namespace qing::nn {
namespace {

std::string task_with(const test::TempFolder& folder, const std::string& config) {
  write_file_atomically(folder.path() / "config.json", config);
  return task_of(folder.path());
}

TEST(TaskModel, TheFolderNamesItsTask) {
  const test::TempFolder folder;
  EXPECT_EQ(task_of(folder.path()), "classification") << "a folder without a config.json";
  EXPECT_EQ(task_with(folder, "{}"), "classification");
  EXPECT_EQ(task_with(folder, R"({"task": "translation"})"), "translation");
  EXPECT_EQ(task_with(folder, R"({"architectures": ["RobertaForTokenClassification"]})"), "tagging");
  for (const char* name : {"MarianMTModel", "M2M100ForConditionalGeneration", "BartForConditionalGeneration",
                           "MBartForConditionalGeneration", "T5ForConditionalGeneration"}) {
    EXPECT_EQ(task_with(folder, fmt::format(R"({{"architectures": ["{}"]}})", name)), "translation") << name;
  }
  EXPECT_EQ(task_with(folder, R"({"architectures": ["BertForSequenceClassification"]})"), "classification");
  EXPECT_EQ(task_with(folder, R"({"task": "image", "architectures": ["MarianMTModel"]})"), "image");
  for (const char* wrong : {R"({"task": 3})", R"({"task": ""})", R"({"task": "a b"})", "[]", "{"}) {
    EXPECT_THROW(task_with(folder, wrong), DataError) << wrong;
  }
}

TEST(TaskModel, AnotherTaskIsRefusedByName) {
  const test::TempFolder folder;
  write_file_atomically(folder.path() / "config.json", R"({"task": "tagging", "model_type": "bert"})");
  for (const auto& load : {+[](const std::filesystem::path& path) { require_task(path, "classification"); },
                           +[](const std::filesystem::path& path) { ClassifierConfig::load(path / "config.json"); }}) {
    try {
      load(folder.path());
      FAIL();
    } catch (const DataError& error) {
      const std::string why = error.what();
      EXPECT_NE(why.find("config.json: task: this is a model of the task \"tagging\""), std::string::npos) << why;
      EXPECT_NE(why.find("give a model of the task \"classification\""), std::string::npos) << why;
    }
  }
}

TEST(TaskModel, TheFolderThatHoldsVersionsIsNamedWithThem) {
  const test::TempFolder folder;
  const auto load_config = [&] { ClassifierConfig::load(folder.path() / "config.json"); };
  const auto load_image = [&] { require_task(folder.path(), "image"); };
  EXPECT_NE(test::message_of<IoError>(load_config).find("config.json: cannot open"), std::string::npos);
  for (const char* name : {"1", "10", "9", "02", "latest"}) std::filesystem::create_directories(folder.path() / name);
  EXPECT_NE(test::message_of<IoError>(load_image).find("config.json: is missing"), std::string::npos);
  const std::string path = folder.path().string();
  write_file_atomically(folder.path() / "1/config.json", "{}");
  EXPECT_EQ(test::message_of<IoError>(load_config),
            path + ": is no model folder; it holds version 1; give " + path + "/1");
  for (const char* name : {"10", "9", "02"}) write_file_atomically(folder.path() / name / "config.json", "{}");
  EXPECT_EQ(test::message_of<IoError>(load_image),
            path + ": is no model folder; it holds versions 1, 9, 10; give " + path + "/10");
}

}  // namespace
}  // namespace qing::nn
