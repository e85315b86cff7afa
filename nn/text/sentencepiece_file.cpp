#include <qing/nn/text/sentencepiece_file.h>

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>
#include <optional>
#include <unordered_set>
#include <utility>

#include <qing/nn/formats/protobuf_cursor.h>
#include <qing/nn/text/pipeline/token_model.h>
#include <qing/nn/utf8.h>

namespace qing::nn::text {
namespace {

constexpr size_t kMostPieces = size_t{1} << 24, kMostPieceBytes = 8000;
constexpr std::string_view kUnknownSurface = " \xE2\x81\x87 ";  // U+2047 between spaces

class SentencePieceReader {
 public:
  SentencePieceReader(const std::filesystem::path& path, std::string_view bytes)
      : faults_(path, "SentencePiece"), bytes_(bytes) {}

  SentencePieceFile read() {
    file_.unknown_surface = kUnknownSurface;
    ProtobufCursor message(bytes_, 0, faults_);
    for (ProtobufField field{}; message.next(field);) {
      if (field.number == 1) read_piece(field);
      if (field.number == 2) read_trainer(field);
      if (field.number == 3) read_rules(field, file_.normalizer);
      if (field.number == 5) read_rules(field, file_.denormalizer);
    }
    check();
    return std::move(file_);
  }

 private:
  [[noreturn]] void fail(const ProtobufField& field, std::string_view what) const {
    faults_.invalid(fmt::format("byte {}: {}", field.place, what));
  }
  ProtobufCursor inside(const ProtobufField& field) const { return {text(field), field.place, faults_}; }
  std::string_view text(const ProtobufField& field) const {
    if (field.type != WireType::length) fail(field, fmt::format("field {} holds no bytes", field.number));
    return field.bytes;
  }
  uint64_t number(const ProtobufField& field) const {
    if (field.type != WireType::varint) fail(field, fmt::format("field {} holds no number", field.number));
    return field.value;
  }
  bool flag(const ProtobufField& field) const { return number(field) != 0; }

  void read_piece(const ProtobufField& outer) {
    if (file_.pieces.size() == kMostPieces) fail(outer, fmt::format("more than {} pieces", kMostPieces));
    SentencePiece& piece = file_.pieces.emplace_back();
    ProtobufCursor message = inside(outer);
    for (ProtobufField field{}; message.next(field);) {
      if (field.number == 1) piece.text = text(field);
      if (field.number == 2) {
        if (field.type != WireType::fixed32) fail(field, "the score is no float");
        piece.score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
        if (!std::isfinite(piece.score)) fail(field, fmt::format("the score {} is not finite", piece.score));
      }
      if (field.number == 3) {
        const uint64_t type = number(field);
        if (type < 1 || type > 6) fail(field, fmt::format("there is no type {} of pieces", type));
        piece.type = static_cast<PieceType>(type);
      }
    }
    const auto id = file_.pieces.size() - 1;
    const auto refuse = [&](std::string_view what) { fail(outer, fmt::format("piece {} {}", id, what)); };
    if (piece.text.empty()) refuse("is empty");
    if (piece.text.size() >= kMostPieceBytes) refuse(fmt::format("has {} bytes", piece.text.size()));
    if (piece.text.find('\0') != std::string::npos) refuse("has a zero byte");
    if (find_invalid_utf8(piece.text)) refuse("is no UTF-8");
    if (piece.type == PieceType::kUnknown) {
      if (file_.unknown >= 0) refuse(fmt::format("is unknown text, as piece {} is already", file_.unknown));
      file_.unknown = static_cast<int32_t>(id);
    }
  }

  void read_trainer(const ProtobufField& outer) {
    ProtobufCursor message = inside(outer);
    for (ProtobufField field{}; message.next(field);) {
      switch (field.number) {
        case 3: {
          const uint64_t type = number(field);
          if (type == 3 || type == 4) {
            faults_.unsupported(
                fmt::format("a model of {}; only unigram and bpe models are read", type == 3 ? "words" : "characters"));
          }
          if (type != 1 && type != 2) fail(field, fmt::format("there is no model_type {}", type));
          file_.bpe = type == 2;
          break;
        }
        case 24:
          if (flag(field)) faults_.unsupported("treat_whitespace_as_suffix: true; only false is");
          break;
        case 35: file_.byte_fallback = flag(field); break;
        case 44:
          file_.unknown_surface = text(field);
          if (find_invalid_utf8(file_.unknown_surface)) fail(field, "unk_surface is no UTF-8");
          break;
        default: break;
      }
    }
  }

  void read_rules(const ProtobufField& outer, SentencePieceRules& rules) const {
    ProtobufCursor message = inside(outer);
    for (ProtobufField field{}; message.next(field);) {
      if (field.number == 2) rules.charsmap = text(field);
      if (field.number == 3) rules.add_dummy_prefix = flag(field);
      if (field.number == 4) rules.remove_extra_whitespaces = flag(field);
      if (field.number == 5) rules.escape_whitespaces = flag(field);
    }
  }

  void check() const {
    if (file_.unknown < 0) faults_.invalid("it has no piece for unknown text");
    std::unordered_set<std::string_view> plain, reserved;
    std::array<bool, 256> bytes{};
    bool any = false;
    for (size_t id = 0; id < file_.pieces.size(); ++id) {
      const SentencePiece& piece = file_.pieces[id];
      const auto refuse = [&](std::string_view what) {
        faults_.invalid(fmt::format("piece {} '{}' {}", id, printable(piece.text), what));
      };
      const bool is_plain =
          piece.type == PieceType::kNormal || piece.type == PieceType::kUserDefined || piece.type == PieceType::kUnused;
      any = any || is_plain;
      if (!(is_plain ? plain : reserved).insert(piece.text).second) refuse("is there twice");
      if (piece.type != PieceType::kByte) continue;
      if (!file_.byte_fallback) refuse("is a byte, but byte_fallback is false");
      const std::optional<unsigned char> byte = byte_of_token(piece.text);
      if (!byte) refuse("is no byte such as <0x41>");
      bytes[*byte] = true;
    }
    if (!any) faults_.invalid("it has no pieces of text");
    if (!file_.byte_fallback) return;
    for (size_t byte = 0; byte < bytes.size(); ++byte) {
      if (bytes[byte]) continue;
      faults_.invalid(
          fmt::format("byte_fallback is true, but there is no piece {}", byte_token(static_cast<unsigned char>(byte))));
    }
  }

  FileFaults faults_;
  std::string_view bytes_;
  SentencePieceFile file_;
};

}  // namespace

SentencePieceFile read_sentencepiece(const std::filesystem::path& path, std::string_view bytes) {
  return SentencePieceReader(path, bytes).read();
}

}  // namespace qing::nn::text
