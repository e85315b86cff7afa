// The pictures of a request, still encoded.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <qing/serve/common/limits.h>
#include <qing/serve/common/picture_limits.h>
#include <qing/serve/http/router.h>

namespace qing::serve::image {

/// Of a picture. More pixels, or more bytes of a picture, are refused as nn::ImageLimits says.
inline constexpr int64_t kMostPixels = int64_t{16} << 20;

struct PictureRequest {
  std::vector<std::string> pictures;  ///< bytes of PNG or JPEG
  bool explain = false;
};

/// What says how the body is to be read.
struct PictureHead {
  std::string type;      ///< the Content-Type, as sent
  bool explain = false;  ///< explain=true in the query
};
/// Refusal with 411 without a length, 415 for a compressed body or a type other than the three.
PictureHead picture_head(const HttpHead& head);
/// Refusal: 400 for a malformed form or JSON, 422 with the field's name for what is not accepted.
PictureRequest read_pictures(const PictureHead& head, const std::string& body, const Limits& limits);

}  // namespace qing::serve::image
