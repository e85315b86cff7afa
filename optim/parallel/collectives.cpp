#include <qing/optim/parallel/collectives.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include <qing/nn/formats/tensor_bytes.h>

namespace qing::optim {
namespace {

std::vector<int> peers_of(const Communicator& ranks) {
  std::vector<int> peers;
  for (int peer = 0; peer < ranks.size(); ++peer) {
    if (peer != ranks.rank()) peers.push_back(peer);
  }
  return peers;
}

// A tensor of a state as a line: its dtype, its dimensions and their sizes, and its name.
std::string entry_text(const std::string& name, const Tensor& tensor) {
  return fmt::format("{} {} {} {}\n", static_cast<int>(tensor.dtype()), tensor.dim(), fmt::join(tensor.shape(), " "),
                     name);
}

// The name, and a tensor of that shape whose elements are not set.
std::pair<std::string, Tensor> entry_of(const std::string& line) {
  std::istringstream words(line);
  int dtype = 0;
  size_t dims = 0;
  words >> dtype >> dims;
  Shape shape(dims);
  for (int64_t& size : shape) words >> size;
  std::string name;
  std::getline(words >> std::ws, name);
  return {std::move(name), Tensor::empty(shape, static_cast<DType>(dtype))};
}

}  // namespace

void barrier(Communicator& ranks) { all_gather_values(ranks, std::byte{}); }

void broadcast(Communicator& ranks, std::span<std::byte> bytes, int root) {
  std::vector<Outgoing> out;
  std::vector<Incoming> in;
  if (ranks.rank() == root) {
    for (const int peer : peers_of(ranks)) out.push_back({peer, bytes});
  } else {
    in.push_back({root, bytes});
  }
  ranks.exchange(out, in);
}

void broadcast(Communicator& ranks, std::string& text, int root) {
  const auto size = broadcast_value(ranks, static_cast<uint64_t>(text.size()), root);
  text.resize(size);
  broadcast(ranks, std::as_writable_bytes(std::span(text)), root);
}

std::vector<std::vector<std::byte>> all_gather(Communicator& ranks, std::span<const std::byte> own) {
  const std::vector<uint64_t> sizes = all_gather_values(ranks, static_cast<uint64_t>(own.size()));
  std::vector<std::vector<std::byte>> all(sizes.size());
  std::vector<Outgoing> out;
  std::vector<Incoming> in;
  for (const int peer : peers_of(ranks)) {
    std::vector<std::byte>& theirs = all[static_cast<size_t>(peer)];
    theirs.resize(sizes[static_cast<size_t>(peer)]);
    out.push_back({peer, own});
    in.push_back({peer, theirs});
  }
  ranks.exchange(out, in);
  all[static_cast<size_t>(ranks.rank())].assign(own.begin(), own.end());
  return all;
}

std::vector<std::string> all_gather_texts(Communicator& ranks, const std::string& own) {
  std::vector<std::string> texts;
  for (const std::vector<std::byte>& bytes : all_gather(ranks, std::as_bytes(std::span(own)))) {
    texts.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return texts;
}

StateDict broadcast_state(Communicator& ranks, const StateDict& state, int root,
                          const std::function<bool(const std::string& name)>& keeps) {
  const bool sends = ranks.rank() == root;
  StateDict result;
  auto next = state.begin();
  for (auto left = broadcast_value(ranks, static_cast<uint64_t>(state.size()), root); left > 0; --left) {
    std::string name = sends ? next->first : std::string();
    Tensor tensor = sends ? next->second.contiguous() : Tensor();
    broadcast(ranks, name, root);
    const auto dtype = broadcast_value(ranks, sends ? tensor.dtype() : DType::f32, root);
    Shape shape(broadcast_value(ranks, sends ? tensor.shape().size() : 0, root));
    if (sends) shape = tensor.shape();
    broadcast(ranks, std::as_writable_bytes(std::span(shape)), root);
    if (!sends) tensor = Tensor::empty(shape, dtype);
    broadcast(ranks, std::as_writable_bytes(nn::bytes_of(tensor)), root);
    if (!keeps || keeps(name)) result.emplace(std::move(name), std::move(tensor));
    if (sends) ++next;
  }
  return result;
}

StateDict gather_state(Communicator& ranks, const StateDict& state, int root) {
  std::string about;
  std::vector<Tensor> own;
  for (const auto& [name, tensor] : state) {
    about += entry_text(name, tensor);
    own.push_back(tensor.contiguous());
  }
  const std::vector<std::string> texts = all_gather_texts(ranks, about);
  StateDict all;
  if (ranks.rank() != root) {
    std::vector<Outgoing> out;
    out.reserve(own.size());
    for (const Tensor& tensor : own) out.push_back({root, std::as_bytes(nn::bytes_of(tensor))});
    ranks.exchange(out, {});
    return all;
  }
  std::vector<Incoming> in;
  for (int peer = 0; peer < ranks.size(); ++peer) {
    if (peer == root) {
      for (const auto& [name, tensor] : state) all.insert_or_assign(name, tensor);
      continue;
    }
    std::istringstream lines(texts[static_cast<size_t>(peer)]);
    for (std::string line; std::getline(lines, line);) {
      auto [name, tensor] = entry_of(line);
      in.push_back({peer, std::as_writable_bytes(nn::bytes_of(tensor))});
      all.insert_or_assign(std::move(name), std::move(tensor));
    }
  }
  ranks.exchange({}, in);
  return all;
}

}  // namespace qing::optim
