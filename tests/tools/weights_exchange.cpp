// A shared library for tests/python/test_file_formats.py, which reads and writes weight files with qing.
#include <cstdio>
#include <exception>

#include <qing/nn/safetensors.h>
#include <qing/tensor/errors.h>

/// Reads one safetensors file and writes its tensors to another. Returns 0 on success, 1 after a DataError and 2 after
/// any other error, which is printed to stderr.
extern "C" int copy_safetensors(const char* from, const char* to) {
  try {
    qing::nn::save_safetensors(to, qing::nn::load_safetensors(from));
    return 0;
  } catch (const qing::DataError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
