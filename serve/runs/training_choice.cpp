#include <qing/serve/runs/training_choice.h>

namespace qing::serve {

TrainingChoice training_choice(std::int64_t base_width, size_t texts) {
  const std::int64_t batch = texts < 2'000 ? 16 : texts < 20'000 ? 32 : 64;
  if (base_width == 0) {
    return {texts < 1'000 ? 30 : texts < 5'000 ? 15 : texts < 20'000 ? 8 : texts < 100'000 ? 4 : 3, batch, 5e-4};
  }
  const std::int64_t epochs = texts < 1'000 ? 10 : texts < 5'000 ? 6 : texts < 50'000 ? 3 : 2;
  return {epochs, batch, base_width >= 512 ? 3e-5 : base_width >= 256 ? 1e-4 : 3e-4};
}

}  // namespace qing::serve
