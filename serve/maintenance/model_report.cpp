#include "model_report.h"

#include <fmt/format.h>

#include <qing/serve/common/how_many.h>
#include <qing/serve/common/json_writer.h>

namespace qing::serve {
namespace {

constexpr std::int64_t kDriftTexts = 500;  // below, the index of a stable stream is often above 0.1
constexpr double kDrift = 0.25;
constexpr int kSpans = 12;

void look_at_texts(ModelReport& report, const ReportInput& input) {
  if (input.reference == nullptr || input.recent == nullptr) return;
  report.texts = input.recent->texts();
  if (report.texts < kDriftTexts) return;
  report.drift = nn::population_stability_index(*input.reference, *input.recent);
  report.unknown_share = input.recent->unknown_share();
  report.reference_unknown_share = input.reference->unknown_share();
  if (*report.drift > kDrift) {
    report.reasons.push_back({"drift", fmt::format("the labels of the last {} texts differ from those of the reference "
                                                   "texts by a population stability index of {:.3f}",
                                                   report.texts, *report.drift)});
  }
  const double usual = *report.reference_unknown_share, now = *report.unknown_share;
  if (now > 2 * usual && now > usual + 0.01) {
    report.reasons.push_back(
        {"unknown_tokens", fmt::format("{:.1f}% of the tokens are unknown, {:.1f}% of those of the reference texts",
                                       100 * now, 100 * usual)});
  }
}

AgreementSpan span_of(FeedbackStore& feedback, const ReportInput& input, std::int64_t from, std::int64_t until) {
  AgreementSpan span{from, until};
  for (const FeedbackTotal& total :
       feedback.totals({.model = input.model, .version = input.version, .from = from, .until = until})) {
    if (total.problem == nn::Problem::regression) {
      span.numbers = total.total;
      span.absolute_error = total.absolute_error;
    } else {
      span.feedback += total.total;
      span.agreed += total.agreed;
    }
  }
  return span;
}

void look_at_feedback(ModelReport& report, const ReportInput& input, FeedbackStore& feedback) {
  const std::int64_t end = input.now + 1;
  for (int i = 0; i < kSpans; ++i) {
    const AgreementSpan span = span_of(feedback, input, end - (i + 1) * kReportSpan, end - i * kReportSpan);
    if (span.feedback + span.numbers > 0) report.agreement.push_back(span);
  }
  for (const FeedbackTotal& total : feedback.totals({.model = input.model})) {
    report.feedback += total.total;
    report.kept += total.kept;
  }
  const AgreementSpan recent = span_of(feedback, input, end - kReportSpan, end),
                      earlier = span_of(feedback, input, 0, end - kReportSpan);
  if (recent.feedback > 0 && earlier.feedback > 0 && recent.interval().high < earlier.interval().low) {
    report.reasons.push_back(
        {"agreement", fmt::format("{} of {} answers of the last 30 days were right by feedback, {} of {} before",
                                  recent.agreed, recent.feedback, earlier.agreed, earlier.feedback)});
  }
  if (report.kept >= kKeptFeedbackForTraining) {
    report.reasons.push_back({"feedback", fmt::format("{} kept", how_many(report.kept, "text with its right label is",
                                                                          "texts with their right labels are"))});
  }
}

}  // namespace

ModelReport report_on(const ReportInput& input, FeedbackStore& feedback) {
  ModelReport report{.model = input.model, .version = input.version};
  look_at_texts(report, input);
  look_at_feedback(report, input, feedback);
  return report;
}

std::string to_json(const ModelReport& report) {
  JsonWriter json;
  json.begin_object().member("model", report.model).member("version", std::to_string(report.version));
  json.member("retrain", !report.reasons.empty()).key("reasons").begin_array();
  for (const ModelReport::Reason& reason : report.reasons) {
    json.begin_object().member("code", reason.code).member("message", reason.message).end();
  }
  json.end().member("texts", report.texts);
  const auto optional = [&json](std::string_view name, const std::optional<double>& value) {
    json.key(name);
    value ? json.value(*value) : json.raw("null");
  };
  optional("drift", report.drift);
  optional("unknown_share", report.unknown_share);
  optional("reference_unknown_share", report.reference_unknown_share);
  json.member("feedback", report.feedback).member("kept_texts", report.kept).key("agreement").begin_array();
  for (const AgreementSpan& span : report.agreement) {
    json.begin_object().member("from", span.from).member("until", span.until);
    if (span.numbers > 0) json.member("numbers", span.numbers).member("mean_absolute_error", span.absolute_error);
    if (span.feedback == 0) {
      json.end();
      continue;
    }
    const nn::Interval interval = span.interval();
    json.member("feedback", span.feedback).member("agreed", span.agreed).member("agreement", span.agreement());
    json.key("interval").begin_array().value(interval.low).value(interval.high).end().end();
  }
  json.end().end();
  return json.take();
}

}  // namespace qing::serve
