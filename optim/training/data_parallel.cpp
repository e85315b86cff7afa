#include <qing/optim/training/data_parallel.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/nn/fingerprint.h>
#include <qing/optim/parallel/collectives.h>
#include <qing/optim/parallel/gradient_exchange.h>
#include <qing/tensor/errors.h>

namespace qing::optim::training {
namespace {

using Clock = std::chrono::steady_clock;

// What a rank's chunks say about a parameter in the first step.
enum class Form : char { absent, rows, dense };

Form form_of(std::vector<SumNode>& nodes) {
  Form form = Form::absent;
  for (const SumNode& node : nodes) {
    if (node.gradient.dense.defined()) return Form::dense;
    if (node.gradient.by_rows()) form = Form::rows;
  }
  return form;
}

}  // namespace

// How the gradients travel. It is the same on all ranks.
struct DataParallel::Layout {
  std::vector<Bucket> buckets;    // in the order in which backward completes them
  std::vector<size_t> bucket_of;  // by parameter; for a table the number of buckets
  std::vector<size_t> tables;
  std::vector<BucketErrors> errors;  // of the buckets that travel in bf16
};

// One call of backward().
struct DataParallel::Step {
  std::span<const BatchChunk> chunks;
  ChunkPlan plan;
  ChunkRange own;
  int last_chunk;  // the last of this rank's chunks that is not empty, or −1
  std::vector<ChunkSums> sums = {};
  std::vector<size_t> order = {};     // in which the last chunk completed the parameters
  std::vector<int64_t> missing = {};  // by bucket: parameters that are not complete
  size_t submitted = 0;
  std::vector<BucketSum> buckets = {};
  StepNote note = {};
};

DataParallel::DataParallel(nn::Module& model, Optimizer& optimizer, Communicator& ranks, DataParallelOptions options)
    : optimizer_(optimizer), ranks_(ranks), options_(std::move(options)), parameters_(optimizer.parameters()) {
  if (options_.gradients != DType::f32 && options_.gradients != DType::bf16) {
    throw DTypeError(fmt::format("DataParallel: gradients travel in f32 or bf16, not {}", name_of(options_.gradients)));
  }
  for (const Tensor& parameter : parameters_) sizes_.push_back(parameter.numel());
  if (ranks_.size() == 1) return;
  check_ranks(model);
  wire_ = std::make_unique<Wire>();
}

DataParallel::~DataParallel() = default;

void DataParallel::check_ranks(nn::Module& model) {
  const std::vector<uint64_t> prints = all_gather_values(ranks_, nn::fingerprint(std::span<const int64_t>(sizes_)));
  for (size_t rank = 1; rank < prints.size(); ++rank) {
    if (prints[rank] == prints[0]) continue;
    throw IoError(fmt::format(
        "DataParallel: rank {} has parameters of other sizes than rank 0; all ranks need the same model and data",
        rank));
  }
  const NoGradGuard guard;
  model.load_state_dict(broadcast_state(ranks_, model.state_dict()));
}

double DataParallel::backward(int chunks, const std::function<Tensor(int chunk)>& loss) {
  if (chunks < 1) throw ValueError(fmt::format("DataParallel: there are {} chunks; there must be at least 1", chunks));
  return backward(std::vector<BatchChunk>(static_cast<size_t>(chunks), {.cost = 1, .weight = 1.0 / chunks}), loss);
}

double DataParallel::backward(std::span<const BatchChunk> chunks, const std::function<Tensor(int chunk)>& loss) {
  if (std::ranges::none_of(chunks, [](const BatchChunk& chunk) { return chunk.weight != 0; })) {
    throw ValueError(fmt::format("DataParallel: none of the {} chunks has a weight", chunks.size()));
  }
  std::vector<int64_t> costs;
  for (const BatchChunk& chunk : chunks) costs.push_back(chunk.cost);
  Step step{.chunks = chunks, .plan = ChunkPlan::of(costs, ranks_.size()), .own = {}, .last_chunk = -1};
  step.own = step.plan.own[static_cast<size_t>(ranks_.rank())];
  for (int chunk = step.own.first; chunk < step.own.last; ++chunk) {
    if (chunks[static_cast<size_t>(chunk)].weight != 0) step.last_chunk = chunk;
  }
  step.sums.assign(parameters_.size(), ChunkSums(step.plan.chunks));
  step.note.losses.resize(static_cast<size_t>(step.own.size()));
  if (layout_) {
    for (const Bucket& bucket : layout_->buckets) step.missing.push_back(std::ssize(bucket.parameters));
    step.buckets.resize(layout_->buckets.size());
  }
  optimizer_.zero_grad();
  try {
    compute(step, loss);
    return finish(step);
  } catch (...) {
    // The jobs refer to the step.
    if (wire_) wire_ = std::make_unique<Wire>();
    throw;
  }
}

void DataParallel::compute(Step& step, const std::function<Tensor(int chunk)>& loss) {
  const auto start = Clock::now();
  for (int chunk = step.own.first; chunk < step.own.last; ++chunk) {
    const double weight = step.chunks[static_cast<size_t>(chunk)].weight;
    if (weight == 0) {
      if (chunk > step.last_chunk) continue;  // collect() adds those behind the last one
      for (ChunkSums& sums : step.sums) sums.add(chunk, {});
      continue;
    }
    const Tensor found = loss(chunk);
    BackwardOptions options{.gradient = Tensor::full(found.shape(), weight, found.dtype()),
                            .leaves = parameters_,
                            .on_leaf = [&](size_t parameter) { collect(step, parameter, chunk); }};
    qing::backward(found, options);
    step.note.losses[static_cast<size_t>(chunk - step.own.first)] = weight * found.item();
  }
  if (step.last_chunk < 0) {
    for (size_t parameter = 0; parameter < parameters_.size(); ++parameter) {
      for (int chunk = step.own.first; chunk < step.own.last; ++chunk) step.sums[parameter].add(chunk, {});
    }
  }
  step.note.seconds = std::chrono::duration<double>(Clock::now() - start).count();
}

// Takes the gradient of a parameter by a chunk.
void DataParallel::collect(Step& step, size_t parameter, int chunk) {
  PartialGradient gradient = take_partial(parameters_[parameter]);
  if (layout_) {
    const bool table = layout_->bucket_of[parameter] == layout_->buckets.size();
    table ? make_rows(gradient) : make_dense(gradient, parameters_[parameter].shape());
  }
  step.sums[parameter].add(chunk, std::move(gradient));
  if (chunk != step.last_chunk) return;
  for (int empty = chunk + 1; empty < step.own.last; ++empty) step.sums[parameter].add(empty, {});
  step.order.push_back(parameter);
  if (!layout_ || layout_->bucket_of[parameter] == layout_->buckets.size()) return;
  --step.missing[layout_->bucket_of[parameter]];
  if (options_.overlap) submit_ready(step, false);
}

// Submits the next buckets that are complete. All ranks submit them in the same order.
void DataParallel::submit_ready(Step& step, bool all) {
  while (step.submitted < layout_->buckets.size() && (all || step.missing[step.submitted] == 0)) {
    const size_t number = step.submitted++;
    wire_->submit([this, &step, number] {
      const BucketErrors* errors = layout_->errors.empty() ? nullptr : &layout_->errors[number];
      step.buckets[number] = sum_bucket(ranks_, step.plan, layout_->buckets[number], step.sums, sizes_, errors);
    });
  }
}

// The ranks agree which parameters are tables, and in which order the others travel.
void DataParallel::plan_buckets(Step& step) {
  std::vector<Form> forms;
  for (ChunkSums& sums : step.sums) forms.push_back(form_of(sums.nodes()));
  std::vector<size_t> order = step.order;
  for (size_t parameter = parameters_.size(); parameter-- > 0;) {
    if (std::ranges::count(order, parameter) == 0) order.push_back(parameter);
  }
  broadcast(ranks_, std::as_writable_bytes(std::span(order)));
  for (const std::vector<std::byte>& theirs : all_gather(ranks_, std::as_bytes(std::span(forms)))) {
    for (size_t i = 0; i < forms.size(); ++i) forms[i] = std::max(forms[i], static_cast<Form>(theirs[i]));
  }
  layout_ = std::make_unique<Layout>();
  layout_->bucket_of.resize(parameters_.size());
  for (const size_t parameter : order) {
    if (forms[parameter] == Form::rows) {
      layout_->tables.push_back(parameter);
      continue;
    }
    const DType dtype = parameters_[parameter].dtype();
    std::vector<Bucket>& buckets = layout_->buckets;
    const auto bytes = [&](const Bucket& bucket) { return bucket.elements * static_cast<int64_t>(size_of(dtype)); };
    if (buckets.empty() || buckets.back().dtype != dtype || bytes(buckets.back()) >= options_.bucket_bytes) {
      buckets.push_back({.parameters = {}, .dtype = dtype, .elements = 0});
    }
    buckets.back().parameters.push_back(parameter);
    buckets.back().elements += sizes_[parameter];
    layout_->bucket_of[parameter] = buckets.size() - 1;
  }
  if (options_.gradients == DType::bf16) {
    for (const Bucket& bucket : layout_->buckets) layout_->errors.push_back(BucketErrors::none(bucket.elements));
  }
  for (const size_t table : layout_->tables) layout_->bucket_of[table] = layout_->buckets.size();
  for (size_t parameter = 0; parameter < parameters_.size(); ++parameter) {
    if (forms[parameter] == Form::rows) continue;
    for (SumNode& node : step.sums[parameter].nodes()) make_dense(node.gradient, parameters_[parameter].shape());
  }
  step.buckets.resize(layout_->buckets.size());
}

double DataParallel::finish(Step& step) {
  std::vector<StepNote> notes;
  const auto put = [this](size_t parameter, PartialGradient gradient) {
    if (gradient.by_rows()) {
      put_row_grad(parameters_[parameter], gradient.rows, gradient.values);
    } else if (gradient.dense.defined()) {
      put_grad(parameters_[parameter], std::move(gradient.dense));
    }
  };
  if (ranks_.size() == 1) {
    for (size_t parameter = 0; parameter < parameters_.size(); ++parameter) {
      put(parameter, std::move(step.sums[parameter].nodes().front().gradient));
    }
    notes = {step.note};
  } else {
    if (!layout_) plan_buckets(step);
    submit_ready(step, true);
    RowSums rows;
    wire_->submit([&] { rows = sum_rows(ranks_, step.plan, layout_->tables, parameters_, step.sums, step.note); });
    wire_->wait();
    for (size_t number = 0; number < step.buckets.size(); ++number) {
      const BucketSum& sum = step.buckets[number];
      int64_t first = 0;
      for (size_t i = 0; i < sum.present.size(); ++i) {
        const size_t parameter = layout_->buckets[number].parameters[i];
        const int64_t last = first + sizes_[parameter];
        if (sum.present[i] != 0) {
          put_grad(parameters_[parameter], sum.elements.slice(0, first, last).reshape(parameters_[parameter].shape()));
        }
        first = last;
      }
    }
    for (size_t i = 0; i < layout_->tables.size(); ++i) put(layout_->tables[i], std::move(rows.gradients[i]));
    notes = std::move(rows.notes);
  }
  double loss = 0;
  std::vector<double> seconds;
  for (const StepNote& note : notes) {
    loss = std::accumulate(note.losses.begin(), note.losses.end(), loss);
    seconds.push_back(note.seconds);
  }
  const std::optional<SlowRank> slow = slow_.add(seconds);
  if (slow && ranks_.is_first() && options_.on_slow_rank) options_.on_slow_rank(*slow);
  return loss;
}

}  // namespace qing::optim::training
