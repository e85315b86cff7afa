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

}  // namespace

std::string describe() {
  const dnnl_version_t* v = dnnl_version();
  return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
}

std::optional<Task> prepare(const Job& job, const std::string& variant) {
  if (variant != "matmul") return gemm_task(job, sgemm);
  if (job.kind != "gemm_nn" && job.kind != "gemm_nt") return std::nullopt;
  return matmul(job);
}

std::optional<std::string> answer(const Job&) { return std::nullopt; }

}  // namespace qing::bench
