#include <qing/serve/tasks/image/image_request.h>

#include <fmt/format.h>

#include <utility>

#include <qing/nn/base64.h>
#include <qing/serve/common/characters.h>
#include <qing/serve/http/multipart.h>
#include <qing/serve/protocols/json_body.h>

namespace qing::serve::image {
namespace {

namespace json = boost::json;
using protocols::refuse_field;

constexpr std::string_view kForm = "multipart/form-data";

// The type without its parameters, in lower case.
std::string media_type(std::string_view type) {
  std::string media = lower(type.substr(0, type.find(';')));
  media.erase(media.find_last_not_of(" \t") + 1);
  return media;
}

bool is_picture_type(const std::string& media) { return media == "image/png" || media == "image/jpeg"; }

void check_picture_count(size_t count) {
  if (count > kMostPictures) {
    refuse_field(
        fmt::format("images: {} exceed the limit of {} of one request; send them in several", count, kMostPictures));
  }
}

bool flag_text(std::string_view text) {
  if (text != "true" && text != "false") refuse_field("explain: must be true or false");
  return text == "true";
}

// A file is a picture; the field "explain" is a flag.
class PictureForm : public FormHandler {
 public:
  void begin_part(const FormPart& part) override {
    file_ = part.filename.has_value();
    if (!file_ && part.name != "explain") {
      refuse_field(fmt::format("form: a field that is no file; give pictures as files, and explain as true or false"));
    }
    current_.clear();
  }
  void part_data(std::string_view bytes) override { current_ += bytes; }
  void end_part() override {
    if (!file_) {
      request.explain = flag_text(current_);
      return;
    }
    request.pictures.push_back(std::move(current_));
    check_picture_count(request.pictures.size());
  }

  PictureRequest request;

 private:
  bool file_ = false;
  std::string current_;
};

PictureRequest read_form(const std::string& type, const std::string& body) {
  PictureForm form;
  try {
    MultipartParser parser(MultipartParser::boundary_of(type).value(), form);
    parser.feed(body);
    parser.finish();
  } catch (const MultipartError& error) { throw Refusal(error_response(400, "malformed_body", error.what())); }
  return std::move(form.request);
}

PictureRequest read_json(const std::string& body, const Limits& limits) {
  const json::value parsed = protocols::parse_json(body, limits);
  const json::object& object = protocols::as_object(parsed, R"({"images": ["BASE64"]})");
  protocols::check_members(object, "", {"images", "explain"});
  const json::value* images = protocols::member(object, "images");
  if (images == nullptr || !images->is_array()) refuse_field("images: must be a list of pictures in base64");
  check_picture_count(images->get_array().size());
  PictureRequest request{{}, protocols::flag_of(object, "", "explain", false)};
  for (const json::value& image : images->get_array()) {
    const std::string place = fmt::format("images[{}]", request.pictures.size());
    if (!image.is_string()) refuse_field(place + ": must be a string in base64");
    try {
      request.pictures.push_back(nn::decode_base64(image.get_string()));
    } catch (const DataError& error) { refuse_field(fmt::format("{}: {}", place, error.what())); }
  }
  return request;
}

}  // namespace

PictureHead picture_head(const HttpHead& head) {
  require_plain_body(head);
  PictureHead result{std::string(head.header("Content-Type")), false};
  const std::string media = media_type(result.type);
  if (media != kForm && media != kJsonType && !is_picture_type(media)) {
    throw Refusal(
        error_response(415, "unsupported_media_type",
                       "Content-Type: must be image/png, image/jpeg, multipart/form-data or application/json"));
  }
  for (std::string_view rest = head.query; !rest.empty();) {
    const size_t end = rest.find('&');
    const std::string_view part = rest.substr(0, end);
    if (part.starts_with("explain=")) result.explain = flag_text(part.substr(8));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return result;
}

PictureRequest read_pictures(const PictureHead& head, const std::string& body, const Limits& limits) {
  const std::string media = media_type(head.type);
  PictureRequest request;
  if (media == kForm) {
    request = read_form(head.type, body);
  } else if (media == kJsonType) {
    request = read_json(body, limits);
  } else {
    request.pictures.push_back(body);
  }
  request.explain = request.explain || head.explain;
  if (request.pictures.empty()) refuse_field("images: there are none; give one picture or more");
  if (request.explain && request.pictures.size() > limits.explained_texts) {
    refuse_field(fmt::format("explain: {} pictures exceed the limit of {} with explanations", request.pictures.size(),
                             limits.explained_texts));
  }
  return request;
}

}  // namespace qing::serve::image
