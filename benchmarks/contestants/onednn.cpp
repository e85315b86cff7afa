#include <dnnl.hpp>

#include "gemm_task.h"

namespace qing::bench {
namespace {

void sgemm(bool transposed, int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* c) {
  dnnl_sgemm('N', transposed ? 'T' : 'N', m, n, k, 1, a, k, b, transposed ? k : n, 0, c, n);
}

// The primitive is made for its shape before anything is timed, as oneDNN intends.
Task matmul(const Job& job) {
  using dnnl::memory;
  struct State {
    dnnl::engine engine{dnnl::engine::kind::cpu, 0};
    dnnl::stream stream{engine};
    Floats a, b, c;
    memory left, right, product;
    dnnl::matmul primitive;

    explicit State(int64_t m, int64_t n, int64_t k, bool transposed) : a(m * k, 1), b(k * n, 2), c(m * n) {
      using Tag = memory::format_tag;
      const memory::desc of_a({m, k}, memory::data_type::f32, Tag::ab), of_c({m, n}, memory::data_type::f32, Tag::ab);
      const memory::desc of_b({k, n}, memory::data_type::f32, transposed ? Tag::ba : Tag::ab);
      left = memory(of_a, engine, a.data());
      right = memory(of_b, engine, b.data());
      product = memory(of_c, engine, c.data());
      primitive = dnnl::matmul({dnnl::matmul::desc(of_a, of_b, of_c), engine});
    }
  };
  auto state = std::make_shared<State>(job.size(0), job.size(1), job.size(2), job.kind == "gemm_nt");
  return {.run =
              [state] {
                state->primitive.execute(
                    state->stream,
                    {{DNNL_ARG_SRC, state->left}, {DNNL_ARG_WEIGHTS, state->right}, {DNNL_ARG_DST, state->product}});
                state->stream.wait();
              },
          .result = [state] { return state->c.span(); }};
}

// oneDNN chooses its layouts. Weights are reordered before anything is timed. With `own` images and results stay in
// these layouts; otherwise each run reorders them from and to plain tensors, where they differ.
Task convolution(const Job& job, bool own) {
  using dnnl::memory;
  using Tag = memory::format_tag;
  struct State {
    dnnl::engine engine{dnnl::engine::kind::cpu, 0};
    dnnl::stream stream{engine};
    Floats x, weight, y;
    memory plain_x, plain_y, own_x, own_w, own_y;
    dnnl::convolution_forward primitive;
    bool own;

    State(int64_t inputs, int64_t weights, int64_t outputs, bool keeps)
        : x(inputs, 1), weight(weights, 2), y(outputs), own(keeps) {}
    void run() {
      if (!own && own_x != plain_x) dnnl::reorder(plain_x, own_x).execute(stream, plain_x, own_x);
      primitive.execute(stream, {{DNNL_ARG_SRC, own_x}, {DNNL_ARG_WEIGHTS, own_w}, {DNNL_ARG_DST, own_y}});
      if (!own) give();
      stream.wait();
    }
    void give() {
      if (own_y != plain_y) dnnl::reorder(own_y, plain_y).execute(stream, own_y, plain_y);
    }
  };
  const int64_t n = job.size(0), c = job.size(1), side = job.size(2), f = job.size(3), k = job.size(4), s = job.size(5);
  const int64_t pad = k / 2, out = (side + 2 * pad - k) / s + 1;
  auto state = std::make_shared<State>(n * c * side * side, f * c * k * k, n * f * out * out, own);
  const auto desc = [](memory::dims dims, Tag tag) { return memory::desc(dims, memory::data_type::f32, tag); };
  const memory::dims dx{n, c, side, side}, dw{f, c, k, k}, dy{n, f, out, out};
  const dnnl::convolution_forward::primitive_desc chosen({dnnl::prop_kind::forward_inference,
                                                          dnnl::algorithm::convolution_direct,
                                                          desc(dx, Tag::any),
                                                          desc(dw, Tag::any),
                                                          desc(dy, Tag::any),
                                                          {s, s},
                                                          {pad, pad},
                                                          {pad, pad}},
                                                         state->engine);
  const auto place = [&](const memory& plain, const memory::desc& wanted) {
    return wanted == plain.get_desc() ? plain : memory(wanted, state->engine);
  };
  state->plain_x = memory(desc(dx, Tag::nchw), state->engine, state->x.data());
  state->plain_y = memory(desc(dy, Tag::nchw), state->engine, state->y.data());
  memory weight(desc(dw, Tag::oihw), state->engine, state->weight.data());
  state->own_x = place(state->plain_x, chosen.src_desc());
  state->own_w = place(weight, chosen.weights_desc());
  state->own_y = place(state->plain_y, chosen.dst_desc());
  if (state->own_x != state->plain_x) {
    dnnl::reorder(state->plain_x, state->own_x).execute(state->stream, state->plain_x, state->own_x);
  }
  if (state->own_w != weight) dnnl::reorder(weight, state->own_w).execute(state->stream, weight, state->own_w);
  state->stream.wait();
  state->primitive = dnnl::convolution_forward(chosen);
  return {.run = [state] { state->run(); },
          .result = [state]() -> std::span<const float> {
            state->give();
            state->stream.wait();
            return state->y.span();
          }};
}

}  // namespace

std::string describe() {
  const dnnl_version_t* v = dnnl_version();
  return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
}

std::optional<Task> prepare(const Job& job, const std::string& variant) {
  if (variant != "matmul") return gemm_task(job, sgemm);
  if (job.kind == "conv" || job.kind == "conv_own") return convolution(job, job.kind == "conv_own");
  if (job.kind != "gemm_nn" && job.kind != "gemm_nt") return std::nullopt;
  return matmul(job);
}

std::optional<std::string> answer(const Job&) { return std::nullopt; }

}  // namespace qing::bench
