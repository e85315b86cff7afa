#include <gtest/gtest.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/layers/layers.h>
#include <qing/optim/lr_scheduler.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/training/checkpoint.h>
#include <qing/tensor/errors.h>

#include <set>
#include <stdexcept>
#include <utility>

#include "nn/temp_folder.h"

namespace qing::optim {
namespace {

namespace fs = std::filesystem;
using test::message_of;

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() {
    model_.set_requires_grad(true);
    optimizer_ = std::make_unique<Adam>(model_.parameters());
    schedule_ = std::make_unique<LrScheduler>(*optimizer_, exponential_lr(0.5));
    parts_ = {{"optimizer", optimizer_.get()}, {"schedule", schedule_.get()}, {"rng", &rng_state_}, {"data", &data_}};
  }

  void step() {
    model_.zero_grad();
    backward(sum(model_(Tensor::full({2, 3}, 1))));
    optimizer_->step();
    schedule_->step();
    rng_.next_stream();
    position_ += "x";
  }
  std::vector<float> weights() {
    std::vector<float> all;
    for (const Tensor& p : model_.parameters()) all.insert(all.end(), p.span<float>().begin(), p.span<float>().end());
    return all;
  }
  std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_.path())) found.insert(entry.path().filename().string());
    return found;
  }
  void expect_refused(const fs::path& checkpoint, const std::string& what) {
    const auto before = weights();
    const std::string text = message_of<DataError>([&] { load_checkpoint(checkpoint, model_, parts_); });
    EXPECT_NE(text.find(what), std::string::npos) << text;
    EXPECT_NE(text.find(checkpoint.string()), std::string::npos) << text;
    EXPECT_EQ(weights(), before);
  }

  const test::TempFolder folder_;
  Generator rng_{uint64_t{1} << 63};
  nn::Linear model_{3, 2, rng_};
  std::unique_ptr<Adam> optimizer_;
  std::unique_ptr<LrScheduler> schedule_;
  GeneratorState rng_state_{rng_};
  std::string position_;
  BytesState data_{[this] { return position_; }, [this](const std::string& bytes) { position_ = bytes; }};
  CheckpointParts parts_;
};

TEST_F(CheckpointTest, BringsEverythingBack) {
  step();
  const fs::path path = CheckpointWriter(folder_.path()).save(1, model_, parts_);
  const auto before = weights();
  const uint64_t stream = rng_.stream();
  step();
  const auto after = weights();
  EXPECT_NE(after, before);
  EXPECT_EQ(load_checkpoint(path, model_, parts_), 1);
  EXPECT_EQ(weights(), before);
  EXPECT_EQ(rng_.stream(), stream);
  EXPECT_EQ(rng_.seed(), uint64_t{1} << 63);
  EXPECT_EQ(position_, "x");
  EXPECT_EQ(optimizer_->lr(), 5e-4);
  step();
  EXPECT_EQ(weights(), after);
}

TEST_F(CheckpointTest, KeepsTheNewest) {
  CheckpointWriter writer(folder_.path(), {.keep = 2, .max_shard_bytes = 8});
  for (const int64_t step : {5, 100, 1, 20}) writer.save(step, model_, parts_);
  EXPECT_EQ(checkpoint_steps(folder_.path()), (std::vector<int64_t>{20, 100}));
  EXPECT_EQ(latest_checkpoint(folder_.path())->filename(), "step-000000000100");
  EXPECT_TRUE(fs::exists(folder_.path() / "step-000000000100" / "model.safetensors.index.json"));
  EXPECT_EQ(names(), (std::set<std::string>{".lock", "step-000000000020", "step-000000000100"}));
}

TEST_F(CheckpointTest, ACheckpointOfTheSameStepIsReplaced) {
  CheckpointWriter writer(folder_.path(), {.keep = 1});
  writer.save(3, model_, parts_);
  step();
  const auto expected = weights();
  writer.save(3, model_, parts_);
  step();
  load_checkpoint(*latest_checkpoint(folder_.path()), model_, parts_);
  EXPECT_EQ(weights(), expected);
  EXPECT_EQ(names(), (std::set<std::string>{".lock", "step-000000000003"}));
}

TEST_F(CheckpointTest, LeftoversOfAKilledProcessAreRemovedAndNeverLoaded) {
  fs::create_directories(folder_.path() / ".staged-step-000000000009");
  fs::create_directories(folder_.path() / ".removed-step-000000000001");
  fs::create_directories(folder_.path() / "step-000000000010");  // not by this writer: it has no manifest
  fs::create_directories(folder_.path() / "step-x");
  EXPECT_EQ(latest_checkpoint(folder_.path()), std::nullopt);
  EXPECT_EQ(latest_checkpoint(folder_.path() / "absent"), std::nullopt);
  const CheckpointWriter writer(folder_.path());
  EXPECT_EQ(names(), (std::set<std::string>{".lock", "step-000000000010", "step-x"}));
}

TEST_F(CheckpointTest, OneWriterAtATime) {
  {
    const CheckpointWriter writer(folder_.path());
    const auto text = message_of<IoError>([&] { CheckpointWriter second(folder_.path()); });
    EXPECT_NE(text.find("another process does"), std::string::npos) << text;
  }
  EXPECT_NO_THROW(CheckpointWriter(folder_.path()));
}

TEST_F(CheckpointTest, IncompleteFilesAreNotACheckpoint) {
  CheckpointWriter writer(folder_.path());
  writer.save(1, model_, parts_);
  const fs::path path = writer.save(2, model_, parts_);
  for (const char* name : {"model.safetensors", "optimizer.safetensors", "data.safetensors"}) {
    const std::string content = test::content_of(path / name);
    fs::resize_file(path / name, content.size() - 1);
    EXPECT_EQ(checkpoint_steps(folder_.path()), std::vector<int64_t>{1});
    expect_refused(path, std::string(name) + " has");
    fs::remove(path / name);
    expect_refused(path, std::string(name) + " is missing");
    std::ofstream(path / name, std::ios::binary) << content;
  }
  EXPECT_EQ(checkpoint_steps(folder_.path()), (std::vector<int64_t>{1, 2}));
}

TEST_F(CheckpointTest, RefusesHostileManifests) {
  const fs::path path = CheckpointWriter(folder_.path()).save(1, model_, parts_);
  const auto expect = [&](const std::string& manifest, const std::string& what) {
    std::ofstream(path / "checkpoint.json", std::ios::binary) << manifest;
    expect_refused(path, what);
  };
  const std::string head = R"({"format":"qing-checkpoint","version":1,"step":1,)";
  expect("", "is not JSON");
  expect("[]", "is not an object");
  expect("{}", "format is missing");
  expect(R"({"format":"qing-checkpoint","version":2})", "version is missing or not 1");
  expect(R"({"format":"qing-checkpoint","version":1,"step":-1})", "step is missing");
  expect(head + R"("parts":3,"files":{}})", "parts is missing");
  expect(head + R"("parts":["../x"],"files":{}})", "a part has an invalid name");
  expect(head + R"("parts":[],"files":{"../x":1}})", "a file is not a name and a size");
  expect(head + R"("step":2,"parts":[],"files":{}})", "'step' appears twice");
}

TEST_F(CheckpointTest, RefusesOtherPartsAndRestoresWhatItHadLoaded) {
  const fs::path path = CheckpointWriter(folder_.path()).save(1, model_, parts_);
  BytesState more([] { return std::string(); }, [](const std::string&) {});
  parts_["more"] = &more;
  parts_.erase("rng");
  expect_refused(path, "2 mismatches of parts: missing more; unknown rng");
  parts_.erase("more");
  parts_["rng"] = &rng_state_;
  // The earlier parts in alphabetical order are already loaded when the schedule does not fit.
  optimizer_->set_lr(0.125);
  position_ = "mine";
  Sgd sgd(model_.parameters());
  ReduceLrOnPlateau other(sgd);
  parts_["schedule"] = &other;
  expect_refused(path, "schedule: ReduceLrOnPlateau: load_state_dict");
  EXPECT_EQ(optimizer_->lr(), 0.125);
  EXPECT_EQ(position_, "mine");
  model_.to(DType::f64);
  EXPECT_NE(message_of<DataError>([&] { load_checkpoint(path, model_, parts_); }).find("weight is f32, needs f64"),
            std::string::npos);
}

// Loads into its own tensor, and may fail half-way.
class InPlace : public Stateful {
 public:
  StateDict state_dict() const override { return {{"value", value}}; }
  void load_state_dict(const StateDict& state) override {
    value.copy_from(state.at("value"));
    if (std::exchange(failing, false)) throw std::runtime_error("half-way");
  }
  Tensor value = Tensor::full({}, 1);
  bool failing = false;
};

TEST_F(CheckpointTest, RestoresPartsThatLoadInPlace) {
  InPlace first, last;
  parts_ = {{"a", &first}, {"b", &last}};
  const fs::path path = CheckpointWriter(folder_.path()).save(1, model_, parts_);
  first.value.fill(5);
  last.value.fill(6);
  last.failing = true;
  expect_refused(path, "b: half-way");
  EXPECT_EQ(first.value.item(), 5);
  EXPECT_EQ(last.value.item(), 6);
  EXPECT_EQ(load_checkpoint(path, model_, parts_), 1);
  EXPECT_EQ(last.value.item(), 1);
}

TEST_F(CheckpointTest, RefusesBadArguments) {
  EXPECT_THROW(CheckpointWriter(folder_.path(), {.keep = -1}), ValueError);
  EXPECT_THROW(CheckpointWriter(folder_.path(), {.max_shard_bytes = 0}), ValueError);
  folder_.write("file", "");
  EXPECT_THROW(CheckpointWriter(folder_.path() / "file"), IoError);
  CheckpointWriter writer(folder_.path());
  EXPECT_THROW(writer.save(-1, model_, parts_), ValueError);
  for (const char* name : {"", "model", "a/b", "..", "a.b"}) {
    EXPECT_THROW(writer.save(1, model_, {{name, &data_}}), ValueError) << name;
  }
  EXPECT_THROW(writer.save(1, model_, {{"a", nullptr}}), ValueError);
  EXPECT_TRUE(checkpoint_steps(folder_.path()).empty());
}

TEST_F(CheckpointTest, AFailedWriteLeavesTheEarlierOnes) {
  CheckpointWriter writer(folder_.path(), {.keep = 1});
  writer.save(1, model_, parts_);
  BytesState failing([]() -> std::string { throw IoError("full"); }, [](const std::string&) {});
  parts_["zz"] = &failing;
  EXPECT_THROW(writer.save(2, model_, parts_), IoError);
  EXPECT_EQ(names(), (std::set<std::string>{".lock", "step-000000000001"}));
}

}  // namespace
}  // namespace qing::optim
