#include <qing/optim/training/data_parallel.h>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <deque>
#include <functional>
#include <numeric>
#include <string_view>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/nn/fingerprint.h>
#include <qing/nn/formats/tensor_bytes.h>
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

// The elements of some rows of a parameter, one row after the other.
template <class Copy> void for_each_row(const Tensor& parameter, std::span<const int64_t> rows, const Copy& copy) {
  const std::span<char> bytes = nn::bytes_of(parameter);
  const size_t width = bytes.size() / static_cast<size_t>(std::max<int64_t>(1, parameter.size(0)));
  for (size_t i = 0; i < rows.size(); ++i) copy(bytes.subspan(static_cast<size_t>(rows[i]) * width, width), i * width);
}

}  // namespace

std::vector<int> divide_parameters(std::span<const int64_t> sizes, int ranks) {
  std::vector<size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](size_t i) { return sizes[i]; });
  std::vector<int64_t> loads(static_cast<size_t>(ranks));
  std::vector<int> owner(sizes.size());
  for (const size_t i : order) {
    const auto least = std::ranges::min_element(loads);
    *least += sizes[i];
    owner[i] = static_cast<int>(least - loads.begin());
  }
  return owner;
}

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
  if (!options_.shard_optimizer) return;
  owner_ = divide_parameters(sizes_, ranks_.size());
  std::vector<char> owned;
  for (const int owner : owner_) owned.push_back(owner == ranks_.rank() ? 1 : 0);
  optimizer_.keep_states_of(std::move(owned));
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

void DataParallel::step(double gradient_scale) {
  optimizer_.step(gradient_scale);
  if (shards_optimizer()) share_updates();
}

// Each rank sends what it has updated to all others. All have the same gradients, so they agree on what that is.
void DataParallel::share_updates() {
  struct Rows {
    size_t parameter;
    std::shared_ptr<const std::vector<int64_t>> rows;
    std::vector<char> bytes;
  };
  std::deque<Rows> rows;  // its elements stay where they are
  std::vector<Outgoing> out;
  std::vector<Incoming> in;
  std::vector<size_t> received;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!row_grad(parameters_[i]).gradient.defined()) continue;
    std::span<char> bytes = nn::bytes_of(parameters_[i]);
    const bool mine = owner_[i] == ranks_.rank();
    if (const auto visited = optimizer_.visited_rows(i)) {
      const size_t height = static_cast<size_t>(std::max<int64_t>(1, parameters_[i].size(0)));
      rows.push_back({i, visited, std::vector<char>(bytes.size() / height * visited->size())});
      std::vector<char>& packed = rows.back().bytes;
      if (mine) {
        for_each_row(parameters_[i], *visited,
                     [&](std::span<char> row, size_t at) { std::ranges::copy(row, packed.data() + at); });
      }
      bytes = packed;
    }
    if (!mine) {
      received.push_back(i);
      in.push_back({owner_[i], std::as_writable_bytes(bytes)});
      continue;
    }
    for (int peer = 0; peer < ranks_.size(); ++peer) {
      if (peer != ranks_.rank()) out.push_back({peer, std::as_bytes(bytes)});
    }
  }
  ranks_.exchange(out, in);
  for (const Rows& some : rows) {
    if (owner_[some.parameter] == ranks_.rank()) continue;
    for_each_row(parameters_[some.parameter], *some.rows,
                 [&](std::span<char> row, size_t at) { std::copy_n(some.bytes.data() + at, row.size(), row.data()); });
  }
  for (const size_t parameter : received) parameters_[parameter].bump_version();
}

StateDict DataParallel::gather_optimizer() {
  return shards_optimizer() ? gather_state(ranks_, optimizer_.state_dict()) : optimizer_.state_dict();
}

void DataParallel::scatter_optimizer(const StateDict& state) {
  const auto keeps = [this](const std::string& name) {
    constexpr std::string_view kPrefix = "parameter.", kSteps = ".step";
    if (!name.starts_with(kPrefix) || name.ends_with(kSteps)) return true;
    size_t index = owner_.size();
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), index);
    return index >= owner_.size() || owner_[index] == ranks_.rank();
  };
  const StateDict own = shards_optimizer() ? broadcast_state(ranks_, state, 0, keeps) : broadcast_state(ranks_, state);
  optimizer_.load_state_dict(own);
}

}  // namespace qing::optim::training
