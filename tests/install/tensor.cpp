#include <cstdio>

#include <qing/tensor/tensor.h>

int main() {
  const qing::Tensor x = qing::Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  try {
    (void)x.reshape({4});
  } catch (const qing::ShapeError&) {
    std::printf("%g\n", x.transpose(0, 1).contiguous().select(0, 1).select(0, 1).item());
  }
}
