#include <qing/optim/parallel/gradient_exchange.h>

#include <algorithm>
#include <utility>

#include <qing/nn/formats/tensor_bytes.h>

namespace qing::optim {
namespace {

constexpr double kAbsent = -1;

// The numbers that a rank sends before its rows: the losses, the seconds, and for each node and table the number of
// rows.
std::vector<double> numbers_of(const StepNote& note, size_t nodes, std::span<const size_t> tables,
                               std::span<ChunkSums> sums) {
  std::vector<double> numbers = note.losses;
  numbers.push_back(note.seconds);
  for (size_t node = 0; node < nodes; ++node) {
    for (const size_t table : tables) {
      const PartialGradient& gradient = sums[table].nodes()[node].gradient;
      numbers.push_back(gradient.by_rows() ? static_cast<double>(gradient.rows.size()) : kAbsent);
    }
  }
  return numbers;
}

// A table's rows as they travel: their numbers, and then their elements.
void append_rows(std::vector<std::byte>& bytes, const PartialGradient& gradient) {
  const auto append = [&bytes](std::span<const std::byte> more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
  };
  append(std::as_bytes(std::span(gradient.rows)));
  append(std::as_bytes(nn::bytes_of(gradient.values)));
}

size_t row_bytes(const Tensor& table) {
  return sizeof(int64_t) +
         static_cast<size_t>(table.numel() / std::max<int64_t>(1, table.size(0))) * size_of(table.dtype());
}

// The reverse of append_rows(). Moves `from` behind the rows.
PartialGradient read_rows(const std::byte*& from, size_t rows, const Tensor& table) {
  PartialGradient gradient{.rows = std::vector<int64_t>(rows)};
  Shape shape = table.shape();
  shape[0] = static_cast<int64_t>(rows);
  gradient.values = Tensor::empty(shape, table.dtype());
  for (const std::span<std::byte> part :
       {std::as_writable_bytes(std::span(gradient.rows)), std::as_writable_bytes(nn::bytes_of(gradient.values))}) {
    std::copy_n(from, part.size(), part.begin());
    from += part.size();
  }
  return gradient;
}

}  // namespace

ChunkPlan ChunkPlan::of(std::span<const int64_t> costs, int ranks) {
  ChunkPlan plan{.chunks = static_cast<int>(costs.size()), .own = divide_chunks(costs, ranks), .nodes = {}};
  for (const ChunkRange& own : plan.own) plan.nodes.push_back(largest_nodes(own, plan.chunks));
  return plan;
}

RowSums sum_rows(Communicator& ranks, const ChunkPlan& plan, std::span<const size_t> tables,
                 std::span<const Tensor> parameters, std::span<ChunkSums> sums, const StepNote& note) {
  const auto me = static_cast<size_t>(ranks.rank()), size = static_cast<size_t>(ranks.size());
  std::vector<std::vector<double>> numbers(size);
  std::vector<std::vector<std::byte>> rows(size);
  std::vector<Outgoing> out;
  std::vector<Incoming> in;
  numbers[me] = numbers_of(note, plan.nodes[me].size(), tables, sums);
  for (size_t peer = 0; peer < size; ++peer) {
    if (peer == me) continue;
    numbers[peer].resize(static_cast<size_t>(plan.own[peer].size()) + 1 + plan.nodes[peer].size() * tables.size());
    out.push_back({static_cast<int>(peer), std::as_bytes(std::span(numbers[me]))});
    in.push_back({static_cast<int>(peer), std::as_writable_bytes(std::span(numbers[peer]))});
  }
  ranks.exchange(out, in);
  for (size_t node = 0; node < plan.nodes[me].size(); ++node) {
    for (const size_t table : tables) {
      const PartialGradient& gradient = sums[table].nodes()[node].gradient;
      if (gradient.by_rows()) append_rows(rows[me], gradient);
    }
  }
  out.clear();
  in.clear();
  for (size_t peer = 0; peer < size; ++peer) {
    if (peer == me) continue;
    size_t bytes = 0, at = static_cast<size_t>(plan.own[peer].size()) + 1;
    for (size_t node = 0; node < plan.nodes[peer].size(); ++node) {
      for (const size_t table : tables) {
        const double count = numbers[peer][at++];
        if (count != kAbsent) bytes += static_cast<size_t>(count) * row_bytes(parameters[table]);
      }
    }
    rows[peer].resize(bytes);
    out.push_back({static_cast<int>(peer), rows[me]});
    in.push_back({static_cast<int>(peer), rows[peer]});
  }
  ranks.exchange(out, in);

  RowSums result;
  std::vector<std::vector<SumNode>> nodes(tables.size());
  for (size_t peer = 0; peer < size; ++peer) {
    const auto losses = static_cast<size_t>(plan.own[peer].size());
    const auto seconds = numbers[peer].begin() + static_cast<std::ptrdiff_t>(losses);
    result.notes.push_back({.losses = {numbers[peer].begin(), seconds}, .seconds = *seconds});
    const std::byte* from = rows[peer].data();
    size_t at = losses + 1;
    for (size_t node = 0; node < plan.nodes[peer].size(); ++node) {
      for (size_t i = 0; i < tables.size(); ++i) {
        const double count = numbers[peer][at++];
        PartialGradient gradient;
        if (peer == me) {
          gradient = std::move(sums[tables[i]].nodes()[node].gradient);
        } else if (count != kAbsent) {
          gradient = read_rows(from, static_cast<size_t>(count), parameters[tables[i]]);
        }
        nodes[i].push_back({plan.nodes[peer][node], std::move(gradient)});
      }
    }
  }
  for (std::vector<SumNode>& of_table : nodes) {
    result.gradients.push_back(sum_of_tree(std::move(of_table), plan.chunks));
  }
  return result;
}

}  // namespace qing::optim
