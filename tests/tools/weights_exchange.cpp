// A shared library for the Python tests of file formats: files of weights go through qing.
#include <cstdio>
#include <exception>

#include <qing/nn/formats/imported_encoder.h>
#include <qing/nn/formats/open_weights.h>
#include <qing/nn/formats/safetensors.h>
#include <qing/tensor/errors.h>

namespace {

// 0 when that went well, 1 after a DataError, 2 after any other error; the error goes to stderr.
template <class Body> int outcome(const Body& body) {
  try {
    body();
    return 0;
  } catch (const qing::DataError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}

}  // namespace

/// Reads one safetensors file and writes its tensors to another.
extern "C" int copy_safetensors(const char* from, const char* to) {
  return outcome([&] { qing::nn::save_safetensors(to, qing::nn::load_safetensors(from)); });
}

/// Opens weights of any format and writes their tensors to a safetensors file.
extern "C" int copy_weights(const char* from, const char* to) {
  return outcome(
      [&] { qing::nn::save_safetensors(to, {.tensors = qing::nn::open_weights(from).state(), .metadata = {}}); });
}

/// Imports an encoder and writes it into a folder.
extern "C" int import_encoder(const char* from, const char* to) {
  return outcome([&] { qing::nn::save_imported_encoder(to, qing::nn::import_encoder(from)); });
}
