// A shared library for tests/python/test_file_formats.py: files of weights go through qing.
#include <cstdio>
#include <exception>

#include <qing/nn/formats/safetensors.h>
#include <qing/tensor/errors.h>

/// Reads one safetensors file and writes its tensors to another. 0 when that went well, 1 after a DataError, 2 after
/// any other error; the error goes to stderr.
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
