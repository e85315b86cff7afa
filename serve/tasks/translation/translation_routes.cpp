#include <qing/serve/tasks/translation/translation_routes.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/nn/utf8.h>
#include <qing/serve/common/estimated_tokens.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/http/body_stream.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/v2_tensors.h>
#include <qing/serve/tasks/translation/translation_scheduler.h>
#include <qing/tensor/errors.h>

namespace qing::serve::translation {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;
using protocols::refuse_field;

constexpr std::int64_t kMostBeams = 16;
constexpr std::int64_t kMostTokens = 1024;  // of a piece's translation

constexpr std::string_view kTranslateRequest = R"({"type":"object","required":["texts"],
"additionalProperties":{"type":"null"},"properties":{"texts":{"type":"array","items":{"type":"string"}},
"source":{"type":["string","null"]},"target":{"type":["string","null"]},"beam_size":{"type":["integer","null"]},
"length_penalty":{"type":["number","null"]},"max_tokens":{"type":["integer","null"]},
"no_repeat_ngram_size":{"type":["integer","null"]},"repetition_penalty":{"type":["number","null"]},
"temperature":{"type":["number","null"]},"top_k":{"type":["integer","null"]},"top_p":{"type":["number","null"]},
"seed":{"type":["integer","null"]},"alignment":{"type":["boolean","null"]},"stream":{"type":["boolean","null"]}}})";
constexpr std::string_view kTranslateResponse = R"({"type":"object","required":["model","version","translations"],
"properties":{"model":{"type":"string"},"version":{"type":"string"},"translations":{"type":"array","items":{
"type":"object","required":["text","score","tokens","complete"],"properties":{"text":{"type":"string"},
"score":{"type":"number"},"tokens":{"type":"integer"},"complete":{"type":"boolean"},"alignment":{"type":"array",
"items":{"type":"object","required":["source","target","weights"],"properties":{"source":{"type":"array","items":{
"type":"array","items":{"type":"integer"}}},"target":{"type":"array","items":{"type":"array","items":{
"type":"integer"}}},"weights":{"type":"array","items":{"type":"array","items":{"type":"number"}}}}}}}}}}})";

std::int64_t whole(const json::object& body, std::string_view name, std::int64_t least, std::int64_t most,
                   std::int64_t missing) {
  const json::value* const value = protocols::member(body, name);
  if (value == nullptr) return missing;
  const std::optional<std::int64_t> number = protocols::integer_of(*value);
  if (!number || *number < least || *number > most) {
    refuse_field(fmt::format("{}: must be a whole number from {} to {}", name, least, most));
  }
  return *number;
}

double real(const json::object& body, std::string_view name, double least, double most, double missing) {
  const json::value* const value = protocols::member(body, name);
  if (value == nullptr) return missing;
  const double number = value->is_number() ? value->to_number<double>() : std::nan("");
  if (!(number >= least && number <= most)) {
    refuse_field(fmt::format("{}: must be a number from {} to {}", name, least, most));
  }
  return number;
}

std::string language(const json::object& body, std::string_view name) {
  const json::value* const value = protocols::member(body, name);
  if (value == nullptr) return {};
  if (!value->is_string()) refuse_field(fmt::format("{}: must be the name of a language, such as \"en\"", name));
  return std::string(value->get_string());
}

// What is not given is as the model's folder says.
nn::DecodingOptions options_of(const json::object& body, const nn::Translator& translator) {
  nn::DecodingOptions options = translator.options();
  const std::int64_t most = std::min(kMostTokens, translator.model().config().max_tokens);
  const std::int64_t beams = whole(body, "beam_size", 1, kMostBeams, 0);  // 0: not given
  options.temperature = real(body, "temperature", 0, 100, beams > 1 ? 0 : options.temperature);
  options.beam_size = beams > 0 ? beams : options.temperature > 0 ? 1 : std::min(kMostBeams, options.beam_size);
  if (options.temperature > 0 && options.beam_size > 1) {
    refuse_field("temperature: tokens are drawn with beam_size 1 only; leave one of the two out");
  }
  options.best = 1;
  options.length_penalty = real(body, "length_penalty", -10, 10, options.length_penalty);
  options.max_tokens = whole(body, "max_tokens", 1, most, std::min(most, options.max_tokens));
  options.min_tokens = std::min(options.min_tokens, options.max_tokens);
  options.no_repeat_ngram_size = whole(body, "no_repeat_ngram_size", 0, most, options.no_repeat_ngram_size);
  options.repetition_penalty = real(body, "repetition_penalty", 0.1, 10, options.repetition_penalty);
  options.top_k = whole(body, "top_k", 0, translator.model().config().vocab_size, options.top_k);
  options.top_p = real(body, "top_p", 1e-6, 1, options.top_p);
  options.seed = static_cast<std::uint64_t>(whole(body, "seed", 0, std::int64_t{1} << 53, 0));
  return options;
}

// Byte ranges as [begin, end] in characters.
void write_ranges(JsonWriter& writer, std::string_view text, const nn::TextRanges& ranges) {
  writer.begin_array();
  size_t bytes = 0, characters = 0;  // the same position in the text
  for (const auto& [begin, end] : ranges) {
    // Tokens of a text are in its order, but the bytes of one character may be several tokens.
    if (begin < bytes) bytes = characters = 0;
    const auto whole_characters = [&](size_t at) {
      while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) ++at;
      return std::min(at, text.size());
    };
    const size_t first = whole_characters(begin), last = whole_characters(end);
    characters += nn::count_characters(text.substr(bytes, first - bytes));
    bytes = first;
    writer.value(
        std::array<size_t, 2>{characters, characters + nn::count_characters(text.substr(first, last - first))});
  }
  writer.end();
}

void write_translation(JsonWriter& writer, const nn::Translation& translation, std::string_view source,
                       bool alignment) {
  writer.member("text", translation.text).member("score", translation.score).member("tokens", translation.tokens);
  writer.member("complete", translation.complete);
  if (!alignment) return;
  writer.key("alignment").begin_array();
  for (const nn::TextAlignment& piece : translation.alignments) {
    writer.begin_object().key("source");
    write_ranges(writer, source, piece.source);
    writer.key("target");
    write_ranges(writer, translation.text, piece.target);
    writer.key("weights").begin_array();
    const size_t columns = piece.source.size();
    for (size_t i = 0; i < piece.target.size(); ++i) {
      writer.value(std::span(piece.weights).subspan(i * columns, columns));
    }
    writer.end().end();
  }
  writer.end();
}

// The source of a translation, if anything of the answer is made of it: the texts are not kept twice otherwise.
std::string_view source_of(const TranslationJob& asked, size_t text) {
  return asked.options.alignment ? std::string_view(asked.texts[text]) : std::string_view();
}

HttpResponse written(const TranslationOutcome& outcome, const Model& model, const TranslationJob& job) {
  JsonWriter writer;
  writer.begin_object().member("model", model.name).member("version", std::to_string(model.version));
  writer.key("translations").begin_array();
  for (size_t i = 0; i < outcome.translations.size(); ++i) {
    writer.begin_object();
    write_translation(writer, outcome.translations[i], source_of(job, i), job.options.alignment);
    writer.end();
  }
  writer.end().end();
  return {200, writer.take(), {}};
}

HttpResponse stopping_response(size_t retry_after) {
  return unavailable("stopping", "the server is stopping; try again later", retry_after);
}

// The response of a finished request.
using Write = std::function<HttpResponse(const TranslationOutcome& outcome)>;

HttpResponse outcome_response(const TranslationOutcome& outcome, const Write& write, size_t retry_after) {
  using enum TranslationOutcome::Status;
  switch (outcome.status) {
    case kDone: try { return write(outcome);
      } catch (...) { return Service::failure_response(std::current_exception()); }
    case kExpired:
      return error_response(504, "deadline",
                            "the translation took longer than its time limit; send fewer or shorter texts");
    case kFailed: return Service::failure_response(outcome.error);
    default: return stopping_response(retry_after);
  }
}

std::string event(std::string_view name, const std::string& data) {
  return fmt::format("event: {}\ndata: {}\n\n", name, data);
}

// Server-sent events: "token" with a text so far, "translation" with a finished text, and then "end" or "error".
class Events {
 public:
  explicit Events(std::shared_ptr<BodyStream> stream) : stream_(std::move(stream)) {}
  void token(size_t index, const std::string& so_far) {
    JsonWriter writer;
    writer.begin_object().member("index", index).member("text", so_far).end();
    send("token", writer.take());
  }
  void translation(size_t index, const nn::Translation& translation, std::string_view source, bool alignment) {
    JsonWriter writer;
    writer.begin_object().member("index", index);
    write_translation(writer, translation, source, alignment);
    writer.end();
    send("translation", writer.take());
  }
  void end(const HttpResponse& response, const Model& model) {
    if (response.status != 200) {
      send("error", response.body);
    } else {
      JsonWriter writer;
      writer.begin_object().member("model", model.name).member("version", std::to_string(model.version)).end();
      send("end", writer.take());
    }
    stream_->end();
  }
  bool closed() const { return stream_->closed(); }

 private:
  void send(std::string_view name, const std::string& data) { stream_->write(event(name, data)); }
  std::shared_ptr<BodyStream> stream_;
};

HttpResponse event_stream(const std::shared_ptr<BodyStream>& stream) {
  HttpResponse response;
  response.content_type = "text/event-stream";
  response.headers.emplace_back("Cache-Control", "no-store");
  response.headers.emplace_back("X-Accel-Buffering", "no");  // of nginx, which would hold events back
  response.stream = stream;
  return response;
}

struct Request {
  Model model;
  std::shared_ptr<const TranslationJob> asked;  // options, and texts for alignments, for the answer
  Write write;
  bool stream = false;
};

// What a request may say about the translations, in the body of one route and the parameters of another.
constexpr std::string_view kOptions[] = {
    "source",      "target", "beam_size", "length_penalty", "max_tokens", "no_repeat_ngram_size", "repetition_penalty",
    "temperature", "top_k",  "top_p",     "seed",
};

// The handler of the routes. The scheduler's thread answers.
class Translations {
 public:
  explicit Translations(Service& service) : service_(service) {}

  Routed::Run open(const Call& call) {
    const Model model =
        service_.task_model(nn::kTranslation, call.parameter("name"), call.key, call.parameter("version"));
    return [this, model](const std::string& body, const Routed::Reply& reply) {
      const Limits limits = admit(model, reply);
      const json::value parsed = protocols::parse_json(body, limits);
      const json::object& object = protocols::as_object(parsed, R"({"texts": ["..."]})");
      translate(model, object, limits, reply);
    };
  }

  Routed::Run infer(const Model& model, const Call& call) {
    return [this, model, length = protocols::v2_header_length(call.head)](const std::string& body,
                                                                          const Routed::Reply& reply) {
      const Limits limits = admit(model, reply);
      const auto asked =
          std::make_shared<protocols::V2Request>(protocols::read_v2(body, length, *model.served, limits, kOptions));
      const Model answers = service_.answering(model, asked->texts, reply);
      const Write write = [answers, asked](const TranslationOutcome& outcome) {
        return protocols::write_v2(*asked, answers, outcome.translations.size(), [&](const std::string&) {
          protocols::V2Column column;
          for (const nn::Translation& each : outcome.translations) column.texts.push_back(each.text);
          return column;
        });
      };
      begin(job_of(answers, asked->parameters, std::move(asked->texts), reply), {answers, nullptr, write}, limits,
            reply);
    };
  }

 private:
  Limits admit(const Model& model, const Routed::Reply& reply) const {
    const Limits limits = service_.limits(model);
    *reply.note = {model.name, model.version, 0};
    if (!scheduler_.would_admit(model.served.get(), limits.queue_texts, limits.queue_tokens)) {
      refuse_full(model, limits);
    }
    return limits;
  }

  void translate(const Model& asked, const json::object& body, const Limits& limits, const Routed::Reply& reply) {
    std::vector<std::string_view> members = {"texts"};
    members.insert(members.end(), std::begin(kOptions), std::end(kOptions));
    members.insert(members.end(), {"alignment", "stream"});
    protocols::check_members(body, "", members);
    const json::value* const texts = protocols::member(body, "texts");
    if (texts == nullptr) refuse_field("texts: is missing; give a list of strings");
    std::vector<std::string> sources = protocols::texts_of(*texts, "texts", limits);
    const Model model = service_.answering(asked, sources, reply);
    TranslationJob job = job_of(model, body, std::move(sources), reply);
    job.options.alignment = protocols::flag_of(body, "", "alignment", false);
    const auto kept = std::make_shared<TranslationJob>();
    kept->options = job.options;
    if (job.options.alignment) kept->texts = job.texts;
    const Write write = [model, kept](const TranslationOutcome& outcome) { return written(outcome, model, *kept); };
    begin(std::move(job), {model, kept, write, protocols::flag_of(body, "", "stream", false)}, limits, reply);
  }

  static TranslationJob job_of(const Model& model, const json::object& options, std::vector<std::string> texts,
                               const Routed::Reply& reply) {
    TranslationJob job{.translator = std::dynamic_pointer_cast<const nn::Translator>(model.served),
                       .texts = std::move(texts),
                       .direction = {},
                       .options = {},
                       .key = reply.key,
                       .on_end = {}};
    job.options = options_of(options, *job.translator);
    const std::string source = language(options, "source"), target = language(options, "target");
    try {
      job.direction = job.translator->direction(source, target);
    } catch (const ValueError& error) {
      const nn::LanguageTokens& languages = job.translator->languages();
      const bool any_source = languages.use == nn::LanguageTokens::Use::kBoth && languages.find(source) >= 0;
      const bool of_source = !source.empty() && job.translator->directions().empty() && !any_source;
      refuse_field(fmt::format("{}: {}", of_source ? "source" : "target", error.what()));
    }
    return job;
  }

  void begin(TranslationJob job, const Request& request, const Limits& limits, const Routed::Reply& reply) {
    *reply.deadline = std::min(*reply.deadline, Clock::now() + limits.predict_time);
    job.deadline = *reply.deadline;
    *reply.note = {request.model.name, request.model.version, job.texts.size()};
    if (job.texts.empty()) return reply(outcome_response({}, request.write, limits.retry_after_seconds));
    submit(std::move(job), request, limits, reply);
  }

  void submit(TranslationJob job, const Request& request, const Limits& limits, const Routed::Reply& reply) {
    const HttpResponse stopping = stopping_response(limits.retry_after_seconds);
    const auto stream = request.stream ? std::make_shared<BodyStream>(event("error", stopping.body)) : nullptr;
    const auto events = std::make_shared<Events>(stream);
    if (request.stream) {
      job.on_token = [events](size_t text, const std::string& so_far) { events->token(text, so_far); };
      job.on_text = [events, asked = request.asked](size_t text, const nn::Translation& translation) {
        events->translation(text, translation, source_of(*asked, text), asked->options.alignment);
      };
      job.left = [events] { return events->closed(); };
    } else {
      job.left = [cancelled = reply.cancelled] { return cancelled != nullptr && cancelled->load(); };
    }
    job.on_end = [this, events, request, reply, begun = Clock::now(),
                  retry = limits.retry_after_seconds](const TranslationOutcome& outcome) {
      HttpResponse response = outcome_response(outcome, request.write, retry);
      const bool left = outcome.status == TranslationOutcome::Status::kLeft;
      if (left) response.status = 0;  // nobody reads it
      service_.count_work(request.model, reply, outcome.tokens, response, Clock::now() - begun);
      if (request.stream) return events->end(response, request.model);
      reply(std::move(response));
    };
    require_fits(job, limits);
    if (!scheduler_.submit(std::move(job), limits.queue_texts, limits.queue_tokens)) refuse_full(request.model, limits);
    if (request.stream) reply(event_stream(stream));
  }

  [[noreturn]] static void refuse_full(const Model& model, const Limits& limits) {
    throw Refusal(unavailable("queue_full",
                              fmt::format("limit of {} waiting texts or {} waiting tokens of model '{}' reached; try "
                                          "again later",
                                          limits.queue_texts, limits.queue_tokens, model.name),
                              limits.retry_after_seconds));
  }
  // A request that could never wait is refused for good.
  static void require_fits(const TranslationJob& job, const Limits& limits) {
    size_t tokens = 0;
    for (const std::string& text : job.texts) tokens += estimated_tokens(text);
    if (job.texts.size() <= limits.queue_texts && tokens <= limits.queue_tokens) return;
    throw Refusal(error_response(422, "unacceptable_field",
                                 fmt::format("texts: {} that cost as much as {} tokens are more than the limits of {} "
                                             "texts and {} tokens that may wait; send fewer",
                                             job.texts.size(), tokens, limits.queue_texts, limits.queue_tokens)));
  }

  Service& service_;
  TranslationScheduler scheduler_;  // ends first: its thread calls the service
};

// The handler of a service, whose routes share a scheduler and keep it.
std::shared_ptr<Translations> translations_of(Service& service) {
  static std::mutex mutex;
  static std::map<const Service*, std::weak_ptr<Translations>> all;
  const std::lock_guard lock(mutex);
  std::erase_if(all, [](const auto& each) { return each.second.expired(); });
  std::weak_ptr<Translations>& place = all[&service];
  std::shared_ptr<Translations> found = place.lock();
  if (!found) place = found = std::make_shared<Translations>(service);
  return found;
}

}  // namespace

Routed::Run infer_translations(Service& service, const Model& model, const Call& call) {
  return translations_of(service)->infer(model, call);  // the routes keep the handler
}

std::vector<Route> translation_routes(Service& service) {
  const auto translations = translations_of(service);
  std::vector<Route> routes;
  for (const auto& [pattern, summary] :
       {std::pair<std::string_view, std::string_view>{kTranslateRoute, "Translates texts"},
        {"/v1/models/{name}/versions/{version}/translate", "The same by a served version"}}) {
    routes.push_back({.method = "POST",
                      .pattern = pattern,
                      .body = BodyKind::kJson,
                      .operation = {"translation", summary, kTranslateRequest, kTranslateResponse},
                      .open = [translations](const Call& call) { return translations->open(call); }});
  }
  return routes;
}

}  // namespace qing::serve::translation
