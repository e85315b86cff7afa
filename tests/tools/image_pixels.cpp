// Reads a picture for tests/python/test_images.py: image_pixels FILE CHANNELS [HEIGHT WIDTH] writes "height width
// channels\n" and the bytes of the pixels to stdout. With a size the image is resized. After an error it prints the
// text on stderr and exits with 1.
#include <cstdio>
#include <cstdlib>

#include <qing/nn/images/decode.h>
#include <qing/nn/images/resize.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

int main(int argc, char** argv) {
  using namespace qing;
  if (argc != 3 && argc != 5) return 2;
  try {
    nn::Image image = nn::decode_image(read_file(argv[1]), {.channels = std::atol(argv[2])});
    if (argc == 5) image = nn::resized(image, std::atol(argv[3]), std::atol(argv[4]));
    std::printf("%ld %ld %ld\n", static_cast<long>(image.height), static_cast<long>(image.width),
                static_cast<long>(image.channels));
    std::fwrite(image.pixels.data(), 1, image.pixels.size(), stdout);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
