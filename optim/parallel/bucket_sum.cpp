// sum_bucket() of gradient_exchange.h.
#include <qing/optim/parallel/gradient_exchange.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <qing/tensor/convert.h>
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

template <class T> std::span<T> shared_span(const Tensor& elements, Share share) {
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

// How elements travel: as they are, or rounded to bf16.
template <class T, class Sent> class Coder {
 public:
  // Returns the bytes of elements to send. Where they are rounded, `elements` become what the receivers get, and
  // `errors` keep what was lost. The first elements of a place get the errors of the last exchange.
  std::span<const std::byte> encode(std::span<T> elements, std::span<T> errors, bool first) {
    if constexpr (std::is_same_v<T, Sent>) {
      return std::as_bytes(elements);
    } else {
      const auto count = static_cast<int64_t>(elements.size());
      Sent* const rounded = sent_.emplace_back(Tensor::empty({count}, DTypeOf<Sent>::value)).template data<Sent>();
      for (size_t i = 0; i < elements.size(); ++i) {
        const T wanted = first ? elements[i] + errors[i] : elements[i];
        rounded[i] = convert<Sent>(wanted);
        elements[i] = convert<T>(rounded[i]);
        const T lost = wanted - elements[i];
        errors[i] = (first ? T{} : errors[i]) + (std::isfinite(lost) ? lost : T{});
      }
      return std::as_bytes(sent_.back().template span<Sent>());
    }
  }
  // Returns the place for bytes that decode() turns into `elements`.
  std::span<std::byte> place(std::span<T> elements) {
    if constexpr (std::is_same_v<T, Sent>) {
      return std::as_writable_bytes(elements);
    } else {
      const auto count = static_cast<int64_t>(elements.size());
      received_.emplace_back(Tensor::empty({count}, DTypeOf<Sent>::value), elements);
      return std::as_writable_bytes(received_.back().first.template span<Sent>());
    }
  }
  void decode() {
    for (const auto& [from, to] : received_) {
      std::ranges::transform(from.template span<Sent>(), to.begin(), [](Sent value) { return convert<T>(value); });
    }
    received_.clear();
  }

 private:
  std::vector<Tensor> sent_;
  std::vector<std::pair<Tensor, std::span<T>>> received_;
};

template <class T, class Sent>
BucketSum sum_elements(Communicator& ranks, const ChunkPlan& plan, const Bucket& bucket, std::span<ChunkSums> sums,
                       std::span<const int64_t> sizes, const BucketErrors* errors) {
  Coder<T, Sent> coder;
  const auto errors_of = [&](Tensor BucketErrors::*which, Share share) {
    return errors != nullptr ? shared_span<T>(errors->*which, share) : std::span<T>();
  };
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
      nodes.push_back({theirs[node], peer == me ? shared_span<T>(own[node], mine) : received.back().span<T>()});
      if (peer != me) in.push_back({peer, coder.place(nodes.back().elements)});
    }
    if (peer == me) continue;
    const Share share = share_of(bucket.elements, peer, size);
    for (const Tensor& node : own) {
      const bool first = node.same_as(own.front());
      out.push_back({peer, coder.encode(shared_span<T>(node, share), errors_of(&BucketErrors::sent, share), first)});
    }
    out.push_back({peer, std::as_bytes(std::span(result.present))});
    in.push_back({peer, std::as_writable_bytes(std::span(present[static_cast<size_t>(peer)]))});
  }
  ranks.exchange(out, in);
  coder.decode();
  const std::span<T> sum = shared_span<T>(result.elements, mine);
  std::ranges::copy(sum_shares<T>(nodes, {0, plan.chunks}), sum.begin());
  out.clear();
  in.clear();
  const std::span<const std::byte> sent = coder.encode(sum, errors_of(&BucketErrors::summed, mine), true);
  for (int peer = 0; peer < size; ++peer) {
    if (peer == me) continue;
    out.push_back({peer, sent});
    in.push_back({peer, coder.place(shared_span<T>(result.elements, share_of(bucket.elements, peer, size)))});
  }
  ranks.exchange(out, in);
  coder.decode();
  for (const std::vector<char>& theirs : present) {
    for (size_t i = 0; i < theirs.size(); ++i) result.present[i] = static_cast<char>(result.present[i] | theirs[i]);
  }
  return result;
}

}  // namespace

BucketErrors BucketErrors::none(int64_t elements) {
  return {.sent = Tensor::zeros({elements}), .summed = Tensor::zeros({elements})};
}

BucketSum sum_bucket(Communicator& ranks, const ChunkPlan& plan, const Bucket& bucket, std::span<ChunkSums> sums,
                     std::span<const int64_t> sizes, const BucketErrors* errors) {
  return dispatch_floating(bucket.dtype, "sum_bucket", [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, float>) {
      if (errors != nullptr) return sum_elements<T, BFloat16>(ranks, plan, bucket, sums, sizes, errors);
    }
    return sum_elements<T, T>(ranks, plan, bucket, sums, sizes, nullptr);
  });
}

}  // namespace qing::optim
