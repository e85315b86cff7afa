#include <qing/nn/formats/e5s1_file.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <qing/nn/formats/byte_cursor.h>
#include <qing/nn/utf8.h>

namespace qing::nn {
namespace {

constexpr std::string_view kE5s1Magic = "E5S1";
constexpr int64_t kE5s1MaxSize = int64_t{1} << 24;  // keeps products of two sizes inside int64

class E5s1Reader {
 public:
  explicit E5s1Reader(const std::shared_ptr<const MappedFile>& file)
      : faults_(file->path(), "E5S1"), cursor_(file->bytes(), faults_) {
    result_.file = file;
  }

  E5s1File read() {
    if (cursor_.take(kE5s1Magic.size(), "the magic number") != kE5s1Magic)
      faults_.invalid("it does not begin with E5S1");
    const auto version = cursor_.number<uint32_t>("the version");
    if (version != 1) faults_.unsupported(fmt::format("version {}; 1 is read", version));
    read_sizes();
    read_tokenizer();
    read_directory();
    return std::move(result_);
  }

 private:
  int64_t size(const char* what) {
    const auto value = cursor_.number<int32_t>(what);
    if (value < 1 || value > kE5s1MaxSize)
      faults_.invalid(fmt::format("{} is {}, outside [1, {}]", what, value, kE5s1MaxSize));
    return value;
  }

  void read_sizes() {
    result_.width = size("the width");
    result_.layers = size("the number of layers");
    result_.heads = size("the number of heads");
    result_.inner = size("the inner width");
    result_.vocabulary = size("the size of the vocabulary");
    result_.positions = size("the number of positions");
    result_.types = size("the number of types");
    result_.norm_eps = double{cursor_.number<float>("epsilon")};
    if (!(result_.norm_eps > 0 && result_.norm_eps < 1)) faults_.invalid("epsilon is outside (0, 1)");
    if (const auto block = cursor_.number<int32_t>("the block size"); block != kBlockElements) {
      faults_.unsupported(fmt::format("blocks of {} elements; {} are read", block, kBlockElements));
    }
    if (result_.width % result_.heads != 0) {
      faults_.invalid(fmt::format("a width of {} for {} heads", result_.width, result_.heads));
    }
    if (result_.width % kBlockElements != 0 || result_.inner % kBlockElements != 0) {
      faults_.invalid(fmt::format("widths of {} and {}, which are no whole blocks", result_.width, result_.inner));
    }
  }

  void read_tokenizer() {
    const int64_t count = size("the number of pieces");
    if (count > result_.vocabulary) {
      faults_.invalid(fmt::format("{} pieces for a vocabulary of {}", count, result_.vocabulary));
    }
    for (int64_t* id : {&result_.bos, &result_.eos, &result_.pad, &result_.unk}) {
      *id = cursor_.number<int32_t>("an id");
      if (*id < 0 || *id >= count) faults_.invalid(fmt::format("the id {} is of no piece", *id));
    }
    const auto bytes = cursor_.number<uint64_t>("a length");
    const auto pieces = static_cast<uint64_t>(count);
    ByteCursor ends = part((pieces + 1) * sizeof(uint32_t), "the places of the pieces");
    ByteCursor scores = part(pieces * sizeof(float), "the scores of the pieces");
    const std::string_view texts = cursor_.take(bytes, "the pieces");
    uint64_t begin = ends.number<uint32_t>("a place");
    for (uint64_t i = 0; i < pieces; ++i) {
      const uint64_t end = ends.number<uint32_t>("a place");
      if (end < begin || end > texts.size()) {
        faults_.invalid(fmt::format("piece {} goes from {} to {} of {} bytes", i, begin, end, texts.size()));
      }
      result_.pieces.emplace_back(texts.substr(begin, end - begin));
      if (find_invalid_utf8(result_.pieces.back())) faults_.invalid(fmt::format("piece {} is not UTF-8", i));
      result_.scores.push_back(scores.number<float>("a score"));
      if (!std::isfinite(result_.scores.back())) faults_.invalid(fmt::format("the score of piece {} is not finite", i));
      begin = end;
    }
    read_replacements();
  }

  void read_replacements() {
    const auto count = cursor_.number<int32_t>("the number of replacements");
    ByteCursor cursor = part(cursor_.number<uint32_t>("a length"), "the replacements");
    constexpr int32_t kMost = 1 << 16;
    if (count > kMost) faults_.unsupported(fmt::format("{} replacements; {} are the most", count, kMost));
    int64_t before = 0;  // U+0000 ends the keys of a trie and cannot be one
    for (int32_t i = 0; i < count; ++i) {
      const auto from = character(cursor);
      if (from <= before) faults_.invalid(fmt::format("the replacement of U+{:04X} is not in its place", from));
      before = from;
      std::u32string to;
      for (auto left = cursor.number<uint8_t>("a length"); left > 0; --left) {
        to += static_cast<char32_t>(character(cursor));
      }
      result_.replacements.emplace_back(static_cast<char32_t>(from), std::move(to));
    }
    if (count < 0 || cursor.left() > 0) {
      faults_.invalid(fmt::format("{} bytes follow the {} replacements", cursor.left(), count));
    }
  }

  int64_t character(ByteCursor& cursor) const {
    const auto code = cursor.number<uint32_t>("a character");
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
      faults_.invalid(fmt::format("{:#x} is no character", code));
    return code;
  }

  // The shapes of all tensors, and which of them are in blocks.
  std::map<std::string, Shape> matrices() const {
    std::map<std::string, Shape> shapes = {{"emb.word", {result_.vocabulary, result_.width}}};
    for (int64_t i = 0; i < result_.layers; ++i) {
      for (const char* name : {"q.w", "k.w", "v.w", "ao.w"}) {
        shapes[fmt::format("l{}.{}", i, name)] = {result_.width, result_.width};
      }
      shapes[fmt::format("l{}.fi.w", i)] = {result_.inner, result_.width};
      shapes[fmt::format("l{}.fo.w", i)] = {result_.width, result_.inner};
    }
    return shapes;
  }
  std::map<std::string, Shape> vectors() const {
    const Shape row = {result_.width};
    std::map<std::string, Shape> shapes = {{"emb.pos", {result_.positions, result_.width}},
                                           {"emb.type", {result_.types, result_.width}},
                                           {"emb.ln.w", row},
                                           {"emb.ln.b", row}};
    for (int64_t i = 0; i < result_.layers; ++i) {
      for (const char* name : {"q.b", "k.b", "v.b", "ao.b", "aln.w", "aln.b", "fo.b", "oln.w", "oln.b"}) {
        shapes[fmt::format("l{}.{}", i, name)] = row;
      }
      shapes[fmt::format("l{}.fi.b", i)] = {result_.inner};
    }
    return shapes;
  }

  void read_directory() {
    const auto count = cursor_.number<int32_t>("the number of tensors");
    constexpr int64_t kTensors = 5, kTensorsOfLayer = 16;
    if (count < 0 || int64_t{count} != kTensors + kTensorsOfLayer * result_.layers) {
      faults_.invalid(fmt::format("{} tensors; {} layers have {}", count, result_.layers,
                                  kTensors + kTensorsOfLayer * result_.layers));
    }
    constexpr uint64_t kLeastEntry = 23;
    if (static_cast<uint64_t>(count) > cursor_.left() / kLeastEntry) faults_.invalid("its directory is cut");
    const std::map<std::string, Shape> blocks = matrices(), plain = vectors();
    std::set<std::string> seen;
    for (int32_t i = 0; i < count; ++i) {
      const std::string name(cursor_.take(cursor_.number<uint16_t>("a length"), "a name"));
      const auto kind = cursor_.number<uint8_t>("a kind");
      const bool is_block = kind == 1;
      const auto& shapes = is_block ? blocks : plain;
      const auto shape = shapes.find(name);
      if (kind > 1 || shape == shapes.end()) {
        faults_.invalid(fmt::format("tensor '{}' of kind {} is none of this encoder", printable(name), kind));
      }
      if (!seen.insert(name).second) faults_.invalid(fmt::format("two tensors have the name '{}'", printable(name)));
      const auto elements = static_cast<uint64_t>(numel_of(shape->second));
      const uint64_t given = cursor_.number<uint32_t>("a count"), offset = cursor_.number<uint64_t>("an offset"),
                     bytes = cursor_.number<uint64_t>("a size");
      const uint64_t needed =
          is_block ? elements / kBlockElements * block_bytes(ElementCoding::q4_0) : elements * sizeof(float);
      if (given != elements || bytes != needed) {
        faults_.invalid(fmt::format("tensor '{}' has {} elements in {} bytes; its shape {} takes {} in {}",
                                    printable(name), given, bytes, to_string(shape->second), elements, needed));
      }
      result_.sources.push_back(
          {.info = {.name = name, .format = is_block ? "Q4" : "F32", .dtype = DType::f32, .shape = shape->second},
           .file = result_.file,
           .offset = offset,
           .coding = is_block ? ElementCoding::q4_0 : ElementCoding::plain});
      sizes_[offset] = std::max(sizes_[offset], bytes);
      if (offset > result_.file->bytes().size() || bytes > result_.file->bytes().size() - offset) {
        faults_.invalid(fmt::format("tensor '{}' of {} bytes at byte {} reaches beyond the end (is it cut?)",
                                    printable(name), bytes, offset));
      }
    }
    check_overlaps();
  }

  // Tensors overlap neither each other nor the part before the data.
  void check_overlaps() const {
    uint64_t reached = cursor_.place();
    if (sizes_.size() != result_.sources.size()) faults_.invalid("two tensors begin at the same byte");
    for (const auto& [offset, bytes] : sizes_) {
      if (offset < reached) {
        faults_.invalid(fmt::format("the tensor at byte {} overlaps what ends at byte {}", offset, reached));
      }
      reached = offset + bytes;
    }
  }

  ByteCursor part(uint64_t bytes, std::string_view what) {
    const uint64_t place = cursor_.place();
    return ByteCursor(cursor_.take(bytes, what), faults_, place);
  }

  const FileFaults faults_;
  ByteCursor cursor_;
  E5s1File result_{};
  std::map<uint64_t, uint64_t> sizes_;  // of the tensors, by their place
};

}  // namespace

bool is_e5s1(std::string_view bytes) { return bytes.starts_with(kE5s1Magic); }

E5s1File read_e5s1(const std::shared_ptr<const MappedFile>& file) { return E5s1Reader(file).read(); }

}  // namespace qing::nn
