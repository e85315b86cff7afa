// The parser of forms: what it finds does not depend on how the bytes are cut, and hostile forms are refused.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <string>
#include <vector>

#include <qing/serve/http/multipart.h>

#include "../nn/temp_folder.h"

namespace qing::serve {
namespace {

struct Part {
  FormPart head;
  std::string data;
  bool ended = false;
};

struct Parts : FormHandler {
  void begin_part(const FormPart& part) override { parts.push_back({part, {}, false}); }
  void part_data(std::string_view bytes) override {
    EXPECT_FALSE(bytes.empty());
    largest = std::max(largest, bytes.size());
    parts.back().data += bytes;
  }
  void end_part() override { parts.back().ended = true; }
  std::vector<Part> parts;
  size_t largest = 0;
};

std::vector<Part> parse(std::string_view form, size_t piece = 1 << 20, const std::string& boundary = "B") {
  Parts parts;
  MultipartParser parser(boundary, parts);
  while (!form.empty()) {
    parser.feed(form.substr(0, piece));
    form.remove_prefix(std::min(piece, form.size()));
  }
  parser.finish();
  for (const Part& part : parts.parts) EXPECT_TRUE(part.ended);
  return parts.parts;
}

std::string part(const std::string& parameters, const std::string& data) {
  return "--B\r\nContent-Disposition: form-data; " + parameters + "\r\n\r\n" + data + "\r\n";
}

std::string why(const std::string& form) {
  return test::message_of<MultipartError>([&] { parse(form); });
}

TEST(Multipart, ReadsPartsHoweverTheyAreCut) {
  const std::string form =
      "preamble\r\n" + part("name=\"purpose\"", "fine-tune") +
      part("name=\"file\"; filename=\"a b.tsv\"", "\r\n--\r\n--Bx\r\n-\r\r\n--B-\r\n\r\n--B \t!\r\n") +
      part("name=empty; filename=\"\"", "") + "--B--\r\nepilogue --B\r\n";
  for (size_t piece = 1; piece <= form.size(); ++piece) {
    const auto parts = parse(form, piece);
    ASSERT_EQ(parts.size(), 3U) << piece;
    EXPECT_EQ(parts[0].head.name, "purpose");
    EXPECT_FALSE(parts[0].head.filename);
    EXPECT_EQ(parts[0].data, "fine-tune");
    EXPECT_EQ(parts[1].head.filename, "a b.tsv");
    EXPECT_EQ(parts[1].data, "\r\n--\r\n--Bx\r\n-\r\r\n--B-\r\n\r\n--B \t!\r\n") << piece;
    EXPECT_EQ(parts[2].head.filename, "");
    EXPECT_EQ(parts[2].data, "");
  }
}

TEST(Multipart, AnyDataComesBack) {
  rc::check([](const std::vector<std::uint8_t>& raw) {
    // Many beginnings of the delimiter.
    constexpr std::string_view kBytes = "\r\n--B\r\n-x";
    std::string data;
    for (const std::uint8_t byte : raw) data += kBytes[byte % kBytes.size()];
    std::string whole = "\r\n" + data + "\r\n";
    for (const char* end : {"\r\n--B\r\n", "\r\n--B--", "\r\n--B \t\r\n"}) RC_PRE(whole.find(end) == whole.npos);
    RC_PRE(whole.find("\r\n--B\t") == whole.npos);
    const std::string form = part("name=a", data) + "--B--";
    const size_t piece = *rc::gen::inRange<size_t>(1, 16);
    const auto parts = parse(form, piece);
    RC_ASSERT(parts.size() == 1U);
    RC_ASSERT(parts[0].data == data);
  });
}

TEST(Multipart, UnescapesNames) {
  const auto name = [](const std::string& parameters) {
    return *parse(part(parameters, "x") + "--B--")[0].head.filename;
  };
  EXPECT_EQ(name(R"(name="file"; filename="a%22b%0D%0A.tsv")"), "a\"b\r\n.tsv");
  EXPECT_EQ(name(R"(name="file"; filename="a\"b\\c\d")"), R"(a"b\c\d)");
  EXPECT_EQ(name(R"(name="file" ; filename="x" ; filename*=UTF-8''y)"), "x");
  EXPECT_EQ(name("name=file;filename=%41.tsv"), "%41.tsv");
  EXPECT_EQ(name("name=file; filename=\"\xE6\x95\xB0.tsv\";"), "\xE6\x95\xB0.tsv");
}

TEST(Multipart, AFormInsideAPartIsData) {
  const std::string inner = "--C\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nx\r\n--C--\r\n";
  const std::string form =
      "--B\r\nContent-Type: multipart/mixed; boundary=C\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n" +
      inner + "\r\n--B--";
  const auto parts = parse(form);
  ASSERT_EQ(parts.size(), 1U);
  EXPECT_EQ(parts[0].data, inner);
}

TEST(Multipart, RefusesWhatIsNoForm) {
  const auto head = [](const std::string& lines) { return "--B\r\n" + lines + "\r\n\r\nx\r\n--B--"; };
  EXPECT_NE(why("").find("does not end"), std::string::npos);
  EXPECT_NE(why("no boundary at all").find("does not end"), std::string::npos);
  EXPECT_NE(why(part("name=a", "x")).find("does not end"), std::string::npos);
  EXPECT_NE(why(part("name=a", "x") + "--B-").find("does not end"), std::string::npos);
  EXPECT_NE(why(part("filename=\"a\"", "x") + "--B--").find("no name"), std::string::npos);
  EXPECT_NE(why(part("name=\"\"", "x") + "--B--").find("no name"), std::string::npos);
  EXPECT_NE(why(part("name=\"a", "x") + "--B--").find("malformed"), std::string::npos);
  EXPECT_NE(why(part("name=a; name=b", "x") + "--B--").find("malformed"), std::string::npos);
  EXPECT_NE(why(head("Content-Disposition: attachment; name=a")).find("malformed"), std::string::npos);
  EXPECT_NE(why(head("Content-Type: text/plain")).find("no Content-Disposition"), std::string::npos);
  EXPECT_NE(why("--B\r\n\r\nx\r\n--B--").find("no Content-Disposition"), std::string::npos);
  const std::string good = "Content-Disposition: form-data; name=a";
  EXPECT_NE(why(head(good + "\r\n" + good)).find("two headers"), std::string::npos);
  EXPECT_NE(why(head(good + "\r\n folded")).find("malformed header"), std::string::npos);
  EXPECT_NE(why(head(good + "\nX: y")).find("malformed header"), std::string::npos);
  EXPECT_NE(why(head("X : y\r\n" + good)).find("malformed header"), std::string::npos);
  EXPECT_NE(why(head(good + std::string("\r\nX: \0", 6))).find("malformed header"), std::string::npos);
  EXPECT_NE(why(head(good + "\r\nContent-Transfer-Encoding: base64")).find("Transfer-Encoding"), std::string::npos);
  EXPECT_NE(why("--B\r\nX: " + std::string(10'000, 'x')).find("exceed 8192 bytes"), std::string::npos);
  std::string many;
  for (int i = 0; i < 65; ++i) many += part("name=a", "");
  EXPECT_NE(why(many + "--B--").find("more than 64 parts"), std::string::npos);
  EXPECT_EQ(parse(head(good + "\r\ncontent-transfer-encoding: BINARY")).size(), 1U);
  EXPECT_TRUE(parse("--B--").empty());
}

TEST(Multipart, ReadsBoundaries) {
  const auto of = [](std::string_view type) { return MultipartParser::boundary_of(type); };
  EXPECT_EQ(of("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(of("Multipart/Form-Data; charset=utf-8; Boundary=\"a b:c\""), "a b:c");
  EXPECT_FALSE(of("application/json"));
  EXPECT_FALSE(of("multipart/mixed; boundary=a"));
  EXPECT_FALSE(of(""));
  for (const std::string& bad :
       {std::string(""), std::string("; boundary="), std::string("; boundary=\"\""),
        "; boundary=" + std::string(71, 'x'), std::string("; boundary=\"a \""), std::string("; boundary=a; boundary=b"),
        std::string("; boundary=\"a\r\nb\""), std::string("; boundary=\xC3\xA4")}) {
    EXPECT_THROW(of("multipart/form-data" + bad), MultipartError) << bad;
  }
}

// A form full of almost-delimiters must not cost more than its length, and nothing is held back but a delimiter.
TEST(Multipart, MemoryAndTimeAreBounded) {
  std::string data;
  while (data.size() < 4'000'000) data += "\r\n--Bx\r\n--B-";
  const std::string form = part("name=a", data + "!") + "--B--";
  Parts parts;
  MultipartParser parser("B", parts);
  size_t fed = 0, got = 0;
  for (size_t at = 0; at < form.size(); at += 65'536) {
    const auto piece = std::string_view(form).substr(at, 65'536);
    parser.feed(piece);
    fed += piece.size();
    got = parts.parts.empty() ? 0 : parts.parts[0].data.size();
    EXPECT_LT(fed - std::min(fed, got), 300U);
  }
  parser.finish();
  EXPECT_EQ(parts.parts[0].data, data + "!");
}

}  // namespace
}  // namespace qing::serve
