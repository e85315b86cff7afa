#include <qing/serve/bench/bench_report.h>

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/version.h>
#include <qing/serve/reports/svg.h>

namespace qing::serve::cli {
namespace {

constexpr double kMega = 1e6, kMilli = 1e3;

std::string title_of(const EngineResult& engine) { return fmt::format("{} {}", engine.engine, engine.precision); }

std::string machine_of(const BenchResult& r) {
  return fmt::format("{}, {}, {} thread{}", r.cpu, r.isa, r.threads, r.threads == 1 ? "" : "s");
}

}  // namespace

std::string bench_table(const BenchResult& r) {
  std::string text = fmt::format(
      "model    {}, {:.1f} MB of weights\ntexts    {}, {} tokens, the longest {}\nmachine  {}\nrounds   {}, in which "
      "the "
      "engines take turns\n\n",
      r.model, static_cast<double>(r.weights) / kMega, r.texts, r.tokens, r.longest, machine_of(r), r.rounds);
  text += fmt::format("{:<18}{:>7}{:>10}{:>11}{:>9}{:>9}{:>9}{:>9}{:>10}{:>10}{:>12}{}\n", "engine", "batch", "texts/s",
                      "tokens/s", "p50 ms", "p95 ms", "p99 ms", "speed", "ready ms", "memory MB", "difference",
                      r.embeds ? "" : "   labels");
  for (const EngineResult& e : r.engines) {
    for (const BatchSpeed& s : e.speeds) {
      text +=
          fmt::format("{:<18}{:>7}{:>10.1f}{:>11.0f}{:>9.2f}{:>9.2f}{:>9.2f}{:>8.2f}x{:>10.0f}{:>10.0f}{:>12.1e}{}\n",
                      title_of(e), s.batch, s.texts_per_second, s.tokens_per_second, s.p50 * kMilli, s.p95 * kMilli,
                      s.p99 * kMilli, s.against_first, e.ready_seconds * kMilli, static_cast<double>(e.memory) / kMega,
                      e.difference, r.embeds ? "" : fmt::format("{:>8.1f}%", 100 * e.same_labels));
    }
  }
  for (const EngineResult& e : r.engines) {
    if (!e.absent.empty()) text += fmt::format("{:<18}absent: {}\n", title_of(e), e.absent);
  }
  return text +
         fmt::format("\nspeed, difference{}: against {}", r.embeds ? "" : " and labels", title_of(r.engines.front()));
}

std::string bench_json(const BenchResult& r) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("version", kVersion).member("model", r.model).member("weights_bytes", r.weights);
  json.member("texts", r.texts).member("tokens", r.tokens).member("longest", r.longest).member("cpu", r.cpu);
  json.member("isa", r.isa).member("threads", r.threads).member("rounds", r.rounds).key("engines").begin_array();
  for (const EngineResult& e : r.engines) {
    json.begin_object().member("engine", e.engine).member("precision", e.precision);
    if (!e.absent.empty()) {
      json.member("absent", e.absent).end();
      continue;
    }
    json.member("version", e.version).member("ready_seconds", e.ready_seconds).member("memory_bytes", e.memory);
    json.member("memory_before_bytes", e.memory_before).member("tokens", e.tokens).member("difference", e.difference);
    if (!r.embeds) json.member("same_labels", e.same_labels);
    json.key("speeds").begin_array();
    for (const BatchSpeed& s : e.speeds) {
      json.begin_object().member("batch", s.batch).member("texts_per_second", s.texts_per_second);
      json.member("tokens_per_second", s.tokens_per_second).member("p50_seconds", s.p50).member("p95_seconds", s.p95);
      json.member("p99_seconds", s.p99).member("against_first", s.against_first).end();
    }
    json.end().end();
  }
  json.end().end();
  return json.take();
}

std::string bench_chart(const BenchResult& r) {
  constexpr double kLeft = 190, kBar = 420, kRight = 110, kTop = 64, kRow = 22;
  std::vector<std::pair<const EngineResult*, const BatchSpeed*>> rows;
  double fastest = 0;
  std::vector<int64_t> batches;
  for (const EngineResult& e : r.engines) {
    for (const BatchSpeed& s : e.speeds) {
      rows.emplace_back(&e, &s);
      fastest = std::max(fastest, s.texts_per_second);
      if (std::ranges::find(batches, s.batch) == batches.end()) batches.push_back(s.batch);
    }
  }
  // Rows of one batch stand together, since only these compare.
  std::ranges::stable_sort(rows, {}, [](const auto& row) { return row.second->batch; });
  const double height = kTop + kRow * static_cast<double>(rows.size() + batches.size()) + 20;
  Svg svg(kLeft + kBar + kRight, height, fmt::format("Texts per second of {}", r.model));
  svg.text(16, 26, "Texts per second", Svg::Anchor::start, "title");
  svg.text(16, 44, fmt::format("{}: {} texts, {} tokens; {}", r.model, r.texts, r.tokens, machine_of(r)),
           Svg::Anchor::start, "quiet");
  double y = kTop;
  int64_t batch = 0;
  for (const auto& [engine, speed] : rows) {
    if (speed->batch != batch) {
      batch = speed->batch;
      svg.text(16, y + 15, fmt::format("{} text{} a call", batch, batch == 1 ? "" : "s"), Svg::Anchor::start, "quiet");
      y += kRow;
    }
    const double width = fastest > 0 ? kBar * speed->texts_per_second / fastest : 0;
    svg.text(kLeft - 10, y + 14, title_of(*engine), Svg::Anchor::end);
    svg.cell(kLeft, y + 3, width, kRow - 6, engine->engine == "qing" ? 1 : 0.45,
             fmt::format("{}: {:.1f} texts/s, {:.0f} tokens/s, median {:.2f} ms", title_of(*engine),
                         speed->texts_per_second, speed->tokens_per_second, speed->p50 * kMilli));
    svg.text(kLeft + width + 8, y + 14, fmt::format("{:.1f}", speed->texts_per_second), Svg::Anchor::start, "quiet");
    y += kRow;
  }
  return svg.str();
}

}  // namespace qing::serve::cli
