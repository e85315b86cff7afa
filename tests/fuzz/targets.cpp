#include "fuzz/targets.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_rows.h>
#include <qing/nn/data/tagged_sentences.h>
#include <qing/nn/formats/imported_encoder.h>
#include <qing/nn/formats/open_weights.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/nn/formats/unpickler.h>
#include <qing/nn/images/decode.h>
#include <qing/nn/models/classifier_config.h>
#include <qing/nn/models/tag_scheme.h>
#include <qing/nn/text/tokenizer.h>
#include <qing/serve/api.h>
#include <qing/serve/http/multipart.h>
#include <qing/serve/http/parser.h>
#include <qing/serve/keys/key_guard.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::fuzz {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void complain(const char* what) {
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

// A folder of this process, on a file system in memory if there is one.
const fs::path& scratch() {
  struct Folder {
    Folder()
        : path((fs::exists("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path()) /
               ("qing-fuzz-" + std::to_string(getpid()))) {
      fs::create_directories(path);
    }
    ~Folder() {
      std::error_code ignored;
      fs::remove_all(path, ignored);
    }
    fs::path path;
  };
  static const Folder folder;
  return folder.path;
}

class SimpleClassifier : public nn::TextClassifier {
 public:
  nn::EncodedText encode(std::string_view text) const override {
    nn::EncodedText encoding;
    encoding.ids.assign(std::min<size_t>(text.size(), 128), 1);
    return encoding;
  }
  std::vector<nn::Prediction> predict_encoded(std::span<const nn::EncodedText> encodings) const override {
    return std::vector<nn::Prediction>(encodings.size(), {1, {0.25F, 0.5F, 0.25F}, 3, false, {0, 1, 0}});
  }
  std::int32_t max_length() const override { return 128; }
  const std::vector<std::string>& labels() const override { return labels_; }

 private:
  std::vector<std::string> labels_{"negative", "neutral", "positive"};
};

// All routes of a server with one model, without sockets.
struct Routes {
  explicit Routes(std::unique_ptr<serve::Gatekeeper> keys)
      : registry(std::make_shared<serve::Registry>()),
        batcher(limits),
        api((registry->add("mood", 1, std::make_shared<SimpleClassifier>()), registry), batcher, std::move(keys),
            limits) {}

  serve::HttpResponse answer(serve::Routed routed, std::string body) {
    if (routed.refusal) return std::move(*routed.refusal);
    auto promise = std::make_shared<std::promise<serve::HttpResponse>>();
    auto response = promise->get_future();
    routed.run(std::move(body), serve::Reply([promise](serve::HttpResponse r) { promise->set_value(std::move(r)); }));
    return response.get();
  }
  static void check(const serve::HttpResponse& response) {
    const bool meant = response.status == 503 || response.status == 505;
    if (response.status >= 500 && !meant) complain("an answer that tells of a fault of the server");
    if (response.status < 200) complain("an answer below 200");
  }

  serve::Limits limits{.body_bytes = 1 << 16, .compute_workers = 1};
  std::shared_ptr<serve::Registry> registry;
  serve::Batcher batcher;
  serve::Api api;
};

Routes& open_routes() {
  static Routes routes(nullptr);
  return routes;
}

// How a server understands the bytes of a connection.
struct Understood {
  std::vector<std::string> requests;  // method, path and body of each
  int refusal = 0;                    // the status of the refusal that ended the connection, or 0
};

// Parses the bytes in pieces of `piece` bytes. The understood requests are answered, too.
Understood understand(std::string_view bytes, size_t piece) {
  Routes& routes = open_routes();
  // Less than the length of an input, so that inputs over the limit are tested too.
  static const serve::Limits limits{.header_bytes = 512, .body_bytes = 1 << 16};
  serve::HttpParser parser(limits);
  std::string input;
  serve::Routed routed;
  Understood understood;
  while (!bytes.empty()) {
    input.append(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    for (bool more = true; more;) {
      const bool had_header = parser.header_done();
      const serve::HttpParser::Step step = parser.feed(input);
      if (step.refusal) {
        Routes::check(*step.refusal);
        understood.refusal = step.refusal->status;
        return understood;
      }
      if (!had_header && parser.header_done()) {
        const serve::HttpHead head = parser.head();
        understood.requests.push_back(std::string(head.method) + ' ' + std::string(head.path) + ' ');
        routed = routes.api.route(head);
      }
      if (step.consumed > input.size()) complain("more consumed than there was");
      input.erase(0, step.consumed);
      more = step.consumed > 0 && !input.empty();
      if (!parser.done()) continue;
      const std::string body = parser.take_body();
      understood.requests.back() += body;
      Routes::check(routes.answer(std::move(routed), body));
      if (!parser.keep_alive()) return understood;
      parser.reset();
    }
  }
  return understood;
}

// The positions where a network splits the bytes must not change their meaning. Only a limit may be reached sooner. The
// first byte chooses the split.
void http(std::string_view bytes) {
  if (bytes.empty()) return;
  const size_t piece = static_cast<unsigned char>(bytes.front()) % 64 + 1;
  bytes.remove_prefix(1);
  const Understood cut = understand(bytes, piece), whole = understand(bytes, std::max<size_t>(1, bytes.size()));
  const bool limited = cut.refusal == 431 || whole.refusal == 431;
  if (!limited && cut.refusal != whole.refusal) complain("refused or not, as the bytes are cut");
  const size_t shared = std::min(cut.requests.size(), whole.requests.size());
  for (size_t i = 0; i + (limited ? 1 : 0) < shared; ++i) {
    if (cut.requests[i] != whole.requests[i]) complain("another request, as the bytes are cut");
  }
  if (!limited && cut.requests.size() != whole.requests.size())
    complain("more requests or fewer, as the bytes are cut");
}

// A body for one route, with a header length from the second byte for the binary protocol.
void post(std::string_view path, std::string_view bytes, bool binary) {
  Routes& routes = open_routes();
  std::string length;
  if (binary && !bytes.empty()) {
    length = std::to_string(static_cast<unsigned char>(bytes.front()));
    bytes.remove_prefix(1);
  }
  serve::HttpHead head;
  head.method = "POST";
  head.path = path;
  head.has_length = true;
  head.header = [&](std::string_view name) -> std::string_view {
    if (name == "Content-Type") return serve::kJsonType;
    if (name == "Inference-Header-Content-Length") return length;
    return {};
  };
  Routes::check(routes.answer(routes.api.route(head), std::string(bytes)));
}

void native(std::string_view bytes) { post("/v1/models/mood/predict", bytes, false); }
void kserve_v1(std::string_view bytes) { post("/v1/models/mood:predict", bytes, false); }
void open_inference(std::string_view bytes) { post("/v2/models/mood/infer", bytes, false); }
void open_inference_binary(std::string_view bytes) { post("/v2/models/mood/infer", bytes, true); }
void hugging_face(std::string_view bytes) { post("/models/mood", bytes, false); }
void text_embeddings_inference(std::string_view bytes) { post("/predict", bytes, false); }

// No bytes are a valid key of a store that has issued none.
void keys(std::string_view bytes) {
  static Routes routes([] {
    const fs::path store = scratch() / "keys.db";
    serve::KeyStore(store, true).create({.name = "a"});
    return std::make_unique<serve::KeyGuard>(store);
  }());
  for (const char* field : {"Authorization", "X-API-Key"}) {
    serve::HttpHead head;
    head.method = "GET";
    head.path = "/v1/models";
    head.header = [&](std::string_view name) { return name == field ? bytes : std::string_view(); };
    if (routes.answer(routes.api.route(head), "").status != 401) complain("let in without a key");
  }
}

template <class Load> void load(std::string_view bytes, const char* name, const Load& read) {
  const fs::path file = scratch() / name;
  write_file_atomically(file, std::string(bytes));
  try {
    read(file);
  } catch (const Error&) {  // the documented error
  }
}

// A picture in memory, with a limit that a header of a few bytes would exceed.
void images(std::string_view bytes) {
  try {
    const nn::Image image = nn::decode_image(bytes, {.limits = {.max_pixels = 1 << 18}});
    if (image.pixels.size() != static_cast<size_t>(image.height * image.width * image.channels)) {
      complain("a picture of another size than it says");
    }
  } catch (const nn::ImageError&) {}
}

void safetensors(std::string_view bytes) {
  load(bytes, "model.safetensors", [](const fs::path& file) {
    nn::load_safetensors(file);
    nn::open_weights(file).state();
  });
}
// The format is detected from the bytes.
void weights(std::string_view bytes, const char* name) {
  load(bytes, name, [](const fs::path& file) { nn::open_weights(file).state(); });
}
void encoder(std::string_view bytes, const char* name) {
  weights(bytes, name);
  load(bytes, name, [](const fs::path& file) { nn::import_encoder(file); });
}
void torch_file(std::string_view bytes) { weights(bytes, "pytorch_model.bin"); }
void onnx(std::string_view bytes) { encoder(bytes, "model.onnx"); }
void gguf(std::string_view bytes) { encoder(bytes, "model.gguf"); }
void e5s1(std::string_view bytes) { encoder(bytes, "model.bin"); }
// Without the archive around it, whose checksum would hide it.
void pickle(std::string_view bytes) {
  const nn::FileFaults faults("data.pkl", "PyTorch");
  nn::ByteCursor cursor(bytes, faults);
  nn::PickleValues values;
  try {
    nn::read_pickle(cursor, values);
  } catch (const Error&) {  // the documented error
  }
}
// The format is detected from the name.
void tokenizer_file(std::string_view bytes, const char* name) {
  load(bytes, name, [](const fs::path& file) {
    const nn::Tokenizer loaded = nn::Tokenizer::load_file(file);
    constexpr std::string_view kText = "a text, 一段文字 e\u0301\u0323 👩‍👩‍👧 <s>[SEP]\n\t can't  12½";
    const nn::Encoding encoding = loaded.encode(kText);
    for (const auto& [begin, end] : encoding.offsets) {
      if (end > kText.size() || begin > kText.size()) complain("an offset outside of the text");
    }
    loaded.decode(encoding.ids);
    loaded.encode("a text", kText);
    loaded.windows(kText);
  });
}
void tokenizer(std::string_view bytes) { tokenizer_file(bytes, "tokenizer.json"); }
void sentencepiece(std::string_view bytes) { tokenizer_file(bytes, "source.spm"); }
// What a form holds, or that it is refused, must not depend on how it is cut. The first byte chooses the cut.
void multipart(std::string_view bytes) {
  struct Parts : serve::FormHandler {
    void begin_part(const serve::FormPart& part) override {
      found += "\n" + part.name + "|" + part.filename.value_or("-") + "|";
    }
    void part_data(std::string_view data) override { found += data; }
    void end_part() override { found += "|"; }
    std::string found;
  };
  if (bytes.empty()) return;
  const size_t cut = static_cast<unsigned char>(bytes.front()) % 64 + 1;
  bytes.remove_prefix(1);
  std::string read[2];
  bool refused[2] = {};
  for (const int whole : {0, 1}) {
    const size_t piece = whole == 1 ? std::max<size_t>(1, bytes.size()) : cut;
    Parts parts;
    serve::MultipartParser parser("B", parts);
    try {
      for (size_t at = 0; at < bytes.size(); at += piece) parser.feed(bytes.substr(at, piece));
      parser.finish();
    } catch (const serve::MultipartError&) { refused[whole] = true; }
    read[whole] = parts.found;
  }
  try {
    serve::MultipartParser::boundary_of(bytes);
  } catch (const serve::MultipartError&) {  // the documented error
  }
  if (refused[0] != refused[1]) complain("a form is refused or not, as the bytes are cut");
  if (!refused[0] && read[0] != read[1]) complain("another form, as the bytes are cut");
}
// Every row is read or refused, and each refusal leads on.
void labelled_rows(std::string_view bytes) {
  load(bytes, "file-rows", [&](const fs::path& file) {
    nn::LabelledRowReader reader(file, {.max_line_bytes = 1024});
    for (size_t rows = 0; rows <= bytes.size(); ++rows) {
      try {
        if (!reader.next()) return;
      } catch (const nn::LineError&) {  // the documented error
      }
    }
    if (!bytes.starts_with("PK")) complain("more rows than bytes");  // a workbook is compressed
  });
}
// The entities of a sentence are those that its tags mark, however the tags are written.
void check_tags(const nn::TaggedSentence& sentence) {
  std::vector<std::string> tags;
  try {
    for (const std::string& tag : sentence.tags) tags.push_back(nn::normal_tag(tag));
  } catch (const ValueError&) { return; }  // the documented error
  const std::vector<nn::TagSpan> spans = nn::spans_of_tags(tags);
  for (const bool bioes : {false, true}) {
    if (nn::spans_of_tags(nn::tags_of_spans(spans, tags.size(), bioes)) != spans) complain("other entities");
  }
}
// The bytes as a file of either form, in pieces whose size the first byte chooses.
void tagged_sentences(std::string_view bytes) {
  if (bytes.empty()) return;
  const size_t cut = static_cast<unsigned char>(bytes.front()) + 1;
  bytes.remove_prefix(1);
  for (const bool json_lines : {false, true}) {
    std::string_view left = bytes;
    const auto input = [&](std::span<char> buffer) {
      const size_t count = left.copy(buffer.data(), std::min(cut, buffer.size()));
      left.remove_prefix(count);
      return count;
    };
    try {
      size_t line = 0;
      for (const nn::TaggedSentence& each : nn::read_tagged_sentences("file", input, json_lines, 64)) {
        if (each.words.size() != each.tags.size() || each.words.empty()) complain("another number of tags than words");
        if (each.words.size() > 64) complain("a sentence above the limit");
        if (std::ranges::any_of(each.words, &std::string::empty)) complain("a word of no bytes");
        if (each.line <= line || each.line > bytes.size()) complain("a line out of order");
        line = each.line;
        check_tags(each);
      }
    } catch (const Error&) {  // the documented error
    }
  }
}
void config(std::string_view bytes) {
  load(bytes, "config.json", [](const fs::path& file) { nn::ClassifierConfig::load(file); });
}

constexpr Target kTargets[] = {{"http", http},
                               {"native", native},
                               {"kserve_v1", kserve_v1},
                               {"open_inference", open_inference},
                               {"open_inference_binary", open_inference_binary},
                               {"hugging_face", hugging_face},
                               {"text_embeddings_inference", text_embeddings_inference},
                               {"keys", keys},
                               {"safetensors", safetensors},
                               {"torch_file", torch_file},
                               {"pickle", pickle},
                               {"onnx", onnx},
                               {"gguf", gguf},
                               {"e5s1", e5s1},
                               {"tokenizer", tokenizer},
                               {"sentencepiece", sentencepiece},
                               {"config", config},
                               {"multipart", multipart},
                               {"labelled_rows", labelled_rows},
                               {"images", images},
                               {"tagged_sentences", tagged_sentences}};

}  // namespace

std::span<const Target> targets() { return kTargets; }

}  // namespace qing::fuzz
