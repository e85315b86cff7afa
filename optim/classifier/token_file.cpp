#include <qing/optim/classifier/token_file.h>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include <qing/nn/fingerprint.h>
#include <qing/tensor/errors.h>

namespace qing::optim {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are read as they lie in memory");

constexpr char kHeadMark[] = "QINGTOKS", kTailMark[] = "QINGTEND";  // written without their end
constexpr uint32_t kTokenFileVersion = 1;
constexpr size_t kAlignment = 8;

struct TokenFileHead {
  char mark[8];
  uint32_t version, id_bytes;
};
struct TokenFileTail {
  uint64_t table, blocks, texts, checksum;
  char mark[8];
};
static_assert(sizeof(TokenFileHead) == 16 && sizeof(TokenBlock) == 32 && sizeof(TokenFileTail) == 40);

template <class T> std::string_view bytes_view(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}
std::string_view bytes_view(std::span<const TokenBlock> table) {
  return {reinterpret_cast<const char*>(table.data()), table.size_bytes()};
}

uint64_t checksum_of(const TokenFileHead& head, std::span<const TokenBlock> table, const TokenFileTail& tail) {
  const uint64_t front = nn::fingerprint(bytes_view(table), nn::fingerprint(bytes_view(head)));
  return nn::fingerprint(bytes_view(tail).substr(0, offsetof(TokenFileTail, checksum)), front);
}

size_t block_bytes(const TokenBlock& block, uint32_t id_bytes) {
  return block.texts * (sizeof(uint32_t) + sizeof(int32_t)) + size_t{block.ids} * id_bytes;
}

template <class T> T read_at(std::string_view bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

}  // namespace

// --- writing ---

TokenFileWriter::TokenFileWriter(std::filesystem::path path, int64_t vocab) : path_(std::move(path)), vocab_(vocab) {
  if (vocab < 1) throw ValueError(fmt::format("TokenFileWriter: the vocabulary has {} tokens", vocab));
  file_ = std::fopen(path_.c_str(), "wbe");
  if (file_ == nullptr) throw IoError(fmt::format("{}: cannot create: {}", path_.string(), std::strerror(errno)));
  TokenFileHead head{.mark = {}, .version = kTokenFileVersion, .id_bytes = vocab <= 65536 ? 2U : 4U};
  std::copy_n(kHeadMark, sizeof head.mark, head.mark);
  try {
    write(&head, sizeof head);
  } catch (...) {
    std::fclose(file_);
    throw;
  }
}

TokenFileWriter::~TokenFileWriter() {
  if (file_ != nullptr) std::fclose(file_);
}

void TokenFileWriter::write(const void* bytes, size_t size) {
  if (size > 0 && std::fwrite(bytes, 1, size, file_) != size) {
    throw IoError(fmt::format("{}: cannot write: {}", path_.string(), std::strerror(errno)));
  }
  written_ += size;
}

void TokenFileWriter::add(std::span<const int32_t> ids, int32_t label, int32_t group) {
  const auto outside = std::ranges::find_if(ids, [this](int32_t id) { return id < 0 || id >= vocab_; });
  if (outside != ids.end()) {
    throw ValueError(fmt::format("TokenFileWriter: id {}; it must be in [0, {})", *outside, vocab_));
  }
  const bool full = ends_.size() == kBlockTexts || ids_.size() >= kBlockIds;
  if (full || (!ends_.empty() && group != group_)) end_block();
  group_ = group;
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  ends_.push_back(static_cast<uint32_t>(ids_.size()));
  labels_.push_back(label);
}

void TokenFileWriter::end_block() {
  if (ends_.empty()) return;
  const std::string_view zeros("\0\0\0\0\0\0\0", kAlignment - 1);
  write(zeros.data(), (kAlignment - written_ % kAlignment) % kAlignment);
  TokenBlock block{.offset = written_,
                   .checksum = nn::kFnvOffsetBasis,
                   .texts = static_cast<uint32_t>(ends_.size()),
                   .ids = static_cast<uint32_t>(ids_.size()),
                   .group = static_cast<uint32_t>(group_),
                   .unused = 0};
  const auto put = [&](const auto& values) {
    using T = typename std::decay_t<decltype(values)>::value_type;
    const std::string_view bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    block.checksum = nn::fingerprint(bytes, block.checksum);
    write(bytes.data(), bytes.size());
  };
  put(ends_);
  put(labels_);
  vocab_ <= 65536 ? put(std::vector<uint16_t>(ids_.begin(), ids_.end())) : put(ids_);
  table_.push_back(block);
  texts_ += ends_.size();
  ends_.clear();
  labels_.clear();
  ids_.clear();
}

void TokenFileWriter::finish() {
  end_block();
  const std::string_view zeros("\0\0\0\0\0\0\0", kAlignment - 1);
  write(zeros.data(), (kAlignment - written_ % kAlignment) % kAlignment);
  TokenFileHead head{.mark = {}, .version = kTokenFileVersion, .id_bytes = vocab_ <= 65536 ? 2U : 4U};
  std::copy_n(kHeadMark, sizeof head.mark, head.mark);
  TokenFileTail tail{.table = written_, .blocks = table_.size(), .texts = texts_, .checksum = 0, .mark = {}};
  std::copy_n(kTailMark, sizeof tail.mark, tail.mark);
  tail.checksum = checksum_of(head, table_, tail);
  write(table_.data(), table_.size() * sizeof(TokenBlock));
  write(&tail, sizeof tail);
  const bool written = std::fflush(file_) == 0 && fsync(fileno(file_)) == 0;
  const int reason = errno;
  const bool closed = std::fclose(std::exchange(file_, nullptr)) == 0;
  if (!written || !closed) {
    throw IoError(fmt::format("{}: cannot write: {}", path_.string(), std::strerror(written ? errno : reason)));
  }
}

// --- reading ---

std::shared_ptr<const TokenFile> TokenFile::open(const std::filesystem::path& path) {
  return std::shared_ptr<const TokenFile>(new TokenFile(nn::MappedFile::open(path)));
}

TokenFile::TokenFile(std::shared_ptr<const nn::MappedFile> file) : file_(std::move(file)) {
  const std::string_view bytes = file_->bytes();
  const auto fail = [&](const std::string& what) {
    throw DataError(fmt::format("{}: {}", file_->path().string(), what));
  };
  if (bytes.size() < sizeof(TokenFileHead) + sizeof(TokenFileTail)) fail("is cut: it is shorter than its ends");
  const auto head = read_at<TokenFileHead>(bytes, 0);
  if (!std::equal(head.mark, head.mark + sizeof head.mark, kHeadMark)) fail("is no file of tokenized texts");
  if (head.version != kTokenFileVersion) {
    fail(fmt::format("has version {}; this program reads {}", head.version, kTokenFileVersion));
  }
  const auto tail = read_at<TokenFileTail>(bytes, bytes.size() - sizeof(TokenFileTail));
  if (!std::equal(tail.mark, tail.mark + sizeof tail.mark, kTailMark)) fail("is cut: its end is missing");
  const size_t room = bytes.size() - sizeof(TokenFileTail);
  if (tail.table > room || (room - tail.table) % sizeof(TokenBlock) != 0 ||
      (room - tail.table) / sizeof(TokenBlock) != tail.blocks) {
    fail("is damaged: its table of blocks does not fit its size");
  }
  blocks_.resize(tail.blocks);
  if (!blocks_.empty()) std::memcpy(blocks_.data(), bytes.data() + tail.table, blocks_.size() * sizeof(TokenBlock));
  if (checksum_of(head, blocks_, tail) != tail.checksum) fail("is damaged: the checksum of its table is wrong");
  id_bytes_ = head.id_bytes;
  for (const TokenBlock& block : blocks_) {
    if (block.offset % kAlignment != 0 || block.offset > tail.table ||
        block_bytes(block, id_bytes_) > tail.table - block.offset) {
      fail("is damaged: a block lies outside of it");
    }
    texts_ += block.texts;
  }
  if (texts_ != tail.texts || (id_bytes_ != 2 && id_bytes_ != 4)) fail("is damaged: its numbers contradict each other");
  checked_ = std::make_unique<std::atomic<bool>[]>(blocks_.size());
}

void TokenFile::check_block(size_t block) const {
  if (checked_[block].load(std::memory_order_relaxed)) return;
  const TokenBlock& entry = blocks_[block];
  const std::string_view bytes = file_->bytes().substr(entry.offset, block_bytes(entry, id_bytes_));
  const std::span ends(reinterpret_cast<const uint32_t*>(bytes.data()), entry.texts);
  const bool fits = std::ranges::is_sorted(ends) && (ends.empty() ? 0 : ends.back()) == entry.ids;
  if (nn::fingerprint(bytes) != entry.checksum || !fits) {
    throw DataError(
        fmt::format("{}: is damaged: the checksum of block {} is wrong; remove the folder of the file, and "
                    "it is made again",
                    file_->path().string(), block));
  }
  checked_[block].store(true, std::memory_order_relaxed);
}

TokenFile::Text TokenFile::text(size_t block, size_t row) const {
  check_block(block);
  const TokenBlock& entry = blocks_[block];
  const char* const at = file_->bytes().data() + entry.offset;
  const auto* const ends = reinterpret_cast<const uint32_t*>(at);
  const auto* const labels = reinterpret_cast<const int32_t*>(ends + entry.texts);
  const uint32_t first = row == 0 ? 0 : ends[row - 1], last = ends[row];
  Text text{.ids = {}, .label = labels[row], .group = static_cast<int32_t>(entry.group)};
  const auto take = [&](const auto* ids) { text.ids.assign(ids + first, ids + last); };
  id_bytes_ == 2 ? take(reinterpret_cast<const uint16_t*>(labels + entry.texts)) : take(labels + entry.texts);
  return text;
}

}  // namespace qing::optim
