#include <qing/optim/parallel/gradient_exchange.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include <qing/nn/formats/tensor_bytes.h>
#include <qing/tensor/dispatch.h>

namespace qing::optim {
namespace {

// Elements of a bucket from `first` to `last` − 1.
struct Share {
  int64_t first, last;
  int64_t size() const { return last - first; }
};
Share share_of(int64_t elements, int rank, int ranks) {
  return {elements * rank / ranks, elements * (rank + 1) / ranks};
}

template <class T> std::span<T> part_of(const Tensor& elements, Share share) {
  return elements.span<T>().subspan(static_cast<size_t>(share.first), static_cast<size_t>(share.size()));
}

// One node's elements of a bucket. An absent gradient is −0, because −0 + x is x for every x.
template <class T>
Tensor joined(const Bucket& bucket, size_t node, std::span<ChunkSums> sums, std::span<const int64_t> sizes,
              std::vector<char>& present) {
  Tensor all = Tensor::empty({bucket.elements}, bucket.dtype);
  T* out = all.data<T>();
  for (size_t i = 0; i < bucket.parameters.size(); ++i) {
    const size_t parameter = bucket.parameters[i];
    Tensor& gradient = sums[parameter].nodes()[node].gradient.dense;
    if (gradient.defined()) {
      out = std::copy_n(gradient.data<T>(), sizes[parameter], out);
      present[i] = 1;
      gradient = {};
    } else {
      out = std::fill_n(out, sizes[parameter], T{-0.0});
    }
  }
  return all;
}

// The elements of a rank's share in a node.
template <class T> struct NodeShare {
  ChunkRange range;
  std::span<T> elements;
};

template <class T> std::span<T> sum_shares(std::span<const NodeShare<T>> nodes, ChunkRange range) {
  const auto found = std::ranges::find(nodes, range, &NodeShare<T>::range);
  if (found != nodes.end()) return found->elements;
  const int middle = middle_of(range);
  const std::span<T> left = sum_shares(nodes, {range.first, middle});
  const std::span<T> right = sum_shares(nodes, {middle, range.last});
  for (size_t i = 0; i < left.size(); ++i) left[i] += right[i];
  return left;
}

template <class T>
BucketSum sum_elements(Communicator& ranks, const ChunkPlan& plan, const Bucket& bucket, std::span<ChunkSums> sums,
                       std::span<const int64_t> sizes) {
  const int me = ranks.rank(), size = ranks.size();
  const Share mine = share_of(bucket.elements, me, size);
  BucketSum result{Tensor::empty({bucket.elements}, bucket.dtype), std::vector<char>(bucket.parameters.size())};
  std::vector<Tensor> own, received;
  const std::vector<ChunkRange>& my_nodes = plan.nodes[static_cast<size_t>(me)];
  for (size_t node = 0; node < my_nodes.size(); ++node) {
    own.push_back(joined<T>(bucket, node, sums, sizes, result.present));
  }
  std::vector<std::vector<char>> present(static_cast<size_t>(size), result.present);
  std::vector<NodeShare<T>> nodes;
  std::vector<Outgoing> out;
  std::vector<Incoming> in;
  for (int peer = 0; peer < size; ++peer) {
    const std::vector<ChunkRange>& theirs = plan.nodes[static_cast<size_t>(peer)];
    for (size_t node = 0; node < theirs.size(); ++node) {
      if (peer != me) received.push_back(Tensor::empty({mine.size()}, bucket.dtype));
      nodes.push_back({theirs[node], peer == me ? part_of<T>(own[node], mine) : received.back().span<T>()});
      if (peer != me) in.push_back({peer, std::as_writable_bytes(nodes.back().elements)});
    }
    if (peer == me) continue;
    const Share share = share_of(bucket.elements, peer, size);
    for (const Tensor& node : own) out.push_back({peer, std::as_bytes(part_of<T>(node, share))});
    out.push_back({peer, std::as_bytes(std::span(result.present))});
    in.push_back({peer, std::as_writable_bytes(std::span(present[static_cast<size_t>(peer)]))});
  }
  ranks.exchange(out, in);
  const std::span<T> sum = sum_shares<T>(nodes, {0, plan.chunks});
  std::ranges::copy(sum, part_of<T>(result.elements, mine).begin());
  out.clear();
  in.clear();
  for (int peer = 0; peer < size; ++peer) {
    if (peer == me) continue;
    out.push_back({peer, std::as_bytes(part_of<T>(result.elements, mine))});
    in.push_back({peer, std::as_writable_bytes(part_of<T>(result.elements, share_of(bucket.elements, peer, size)))});
  }
  ranks.exchange(out, in);
  for (const std::vector<char>& theirs : present) {
    for (size_t i = 0; i < theirs.size(); ++i) result.present[i] = static_cast<char>(result.present[i] | theirs[i]);
  }
  return result;
}

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

BucketSum sum_bucket(Communicator& ranks, const ChunkPlan& plan, const Bucket& bucket, std::span<ChunkSums> sums,
                     std::span<const int64_t> sizes) {
  return dispatch_floating(bucket.dtype, "sum_bucket",
                           [&](auto zero) { return sum_elements<decltype(zero)>(ranks, plan, bucket, sums, sizes); });
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
