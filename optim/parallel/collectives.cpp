#include <qing/optim/parallel/collectives.h>

#include <algorithm>
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

StateDict broadcast_state(Communicator& ranks, const StateDict& state, int root) {
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
    result.emplace(std::move(name), std::move(tensor));
    if (sends) ++next;
  }
  return result;
}

}  // namespace qing::optim
