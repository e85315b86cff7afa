#include <fmt/format.h>

#include <qing/nn/formats/e5s1_file.h>
#include <qing/nn/formats/encoder_importers.h>
#include <qing/nn/formats/gguf_file.h>
#include <qing/nn/formats/onnx_model.h>
#include <qing/tensor/errors.h>

namespace qing::nn {

ImportedEncoder import_encoder(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  const std::string_view bytes = file->bytes();
  if (is_gguf(bytes)) return import_gguf(file);
  if (is_e5s1(bytes)) return import_e5s1(file);
  if (is_onnx(bytes)) return import_onnx(file);
  throw DataError(
      fmt::format("{}: is of no format that encoders are imported from: ONNX, GGUF and E5S1", path.string()));
}

}  // namespace qing::nn
