// A shared library for tests/python/test_tensor_exchange.py, with qing's and NumPy's tensors in one process.
#include <cstdio>
#include <exception>

#include <qing/tensor/dlpack.h>
#include <qing/tensor/npy.h>

namespace {

// Returns 0 if body succeeds. Otherwise it prints the error to stderr.
template <class Body> int guarded(const Body& body) {
  try {
    body();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

}  // namespace

extern "C" {

/// Reads one .npy file and writes it to another.
int copy_npy(const char* from, const char* to) {
  return guarded([&] { qing::save_npy(to, qing::load_npy(from)); });
}

/// Takes a DLManagedTensor and adds one to each element, in place.
int add_one(qing::dlpack::ManagedTensor* managed) {
  return guarded([&] { qing::dlpack::from_dlpack(managed).add_(1); });
}

/// Exports 0 to n−1 as an f32 matrix of two columns, transposed.
qing::dlpack::ManagedTensor* count_up(int64_t n) {
  return qing::dlpack::to_dlpack(qing::Tensor::arange(n, qing::DType::f32).reshape({-1, 2}).transpose(0, 1));
}
}
