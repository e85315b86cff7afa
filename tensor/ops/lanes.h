// A tensor as lanes: a lane is the elements that differ only along some of the dimensions. Code that reduces, scans or
// sorts is written for dense lanes, and gets them from here for any strides. A lane that is not dense is copied through
// a tile of a fixed size; the whole tensor is never copied.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include <qing/tensor/layout.h>
#include <qing/tensor/tensor.h>
#include <qing/tensor/threads.h>

namespace qing {

/// The order of a lane's elements. With `storage`, a lane that is dense up to a permutation is read in place.
enum class LaneOrder { row_major, storage };

class Lanes {
 public:
  /// `dims` are distinct and in [0, layout.dim()). If there are none, each element is a lane.
  Lanes(const Layout& layout, const std::vector<int64_t>& dims, LaneOrder order = LaneOrder::row_major);

  int64_t count() const { return count_; }  ///< in row-major order of the other dimensions
  int64_t length() const { return length_; }
  bool dense() const { return dense_; }      ///< each lane is a run of adjacent elements
  bool columns() const { return columns_; }  ///< lanes are side by side, with one distance between a lane's elements
  int64_t distance() const { return along_.dim() == 0 ? 1 : along_.strides.back(); }  ///< if columns() or dense()
  int64_t position(int64_t lane) const;  ///< of the lane's first element, from the tensor's first
  /// The number of lanes that are worth a thread; as many are copied at a time.
  int64_t tile() const { return std::max<int64_t>(1, kTileElements / std::max<int64_t>(length_, 1)); }

  /// tile[l·length + j] = element j of lane first + l, for l < count.
  template <class T> void read(const T* data, int64_t first, int64_t count, T* tile) const {
    copy(first, count, [&](int64_t position, int64_t at) { tile[at] = data[position]; });
  }
  /// The reverse of read().
  template <class T> void write(const T* tile, int64_t first, int64_t count, T* data) const {
    copy(first, count, [&](int64_t position, int64_t at) { data[position] = tile[at]; });
  }

 private:
  static constexpr int64_t kTileElements = 16384;
  static constexpr int64_t kBlock = 16;  // lanes walked together, so that each cache line is used whole

  template <class Move> void copy(int64_t first, int64_t count, Move move) const;

  Layout across_, along_;  // with merged dimensions where strides allow
  int64_t count_ = 1, length_ = 1;
  bool dense_ = false, columns_ = false;
};

/// Calls visit(position, i) for element i of a layout, in row-major order. Positions count from the first element.
template <class Visit> void walk(const Layout& layout, Visit visit) {
  const int64_t rank = layout.dim(), total = layout.numel();
  const int64_t run = rank == 0 ? 1 : layout.sizes.back(), step = rank == 0 ? 0 : layout.strides.back();
  std::vector<int64_t> index(layout.sizes.size(), 0);
  int64_t position = 0;
  for (int64_t i = 0; i < total; i += run) {
    for (int64_t j = 0; j < run; ++j) visit(position + j * step, i + j);
    for (int64_t d = rank - 2; d >= 0; --d) {
      position += layout.strides[d];
      if (++index[d] < layout.sizes[d]) break;
      position -= layout.strides[d] * layout.sizes[d];
      index[d] = 0;
    }
  }
}

template <class Move> void Lanes::copy(int64_t first, int64_t count, Move move) const {
  const int64_t together = distance() == 1 ? 1 : kBlock;
  for (int64_t block = 0; block < count; block += together) {
    const int64_t lanes = std::min(together, count - block);
    int64_t base[kBlock];
    for (int64_t l = 0; l < lanes; ++l) base[l] = position(first + block + l);
    walk(along_, [&](int64_t offset, int64_t j) {
      for (int64_t l = 0; l < lanes; ++l) move(base[l] + offset, (block + l) * length_ + j);
    });
  }
}

/// Gives one thread dense lanes to read. It must ask for them in ascending order.
template <class T> class LaneReader {
 public:
  LaneReader(const Tensor& x, const Lanes& lanes) : lanes_(lanes), data_(x.data<T>()) {}

  const T* at(int64_t lane) {
    if (lanes_.dense()) return data_ + lanes_.position(lane);
    if (lane >= end_) {
      first_ = lane;
      end_ = std::min(lanes_.count(), lane + lanes_.tile());
      if (tile_ == nullptr) tile_ = std::make_unique_for_overwrite<T[]>(lanes_.tile() * lanes_.length());
      lanes_.read(data_, first_, end_ - first_, tile_.get());
    }
    return tile_.get() + (lane - first_) * lanes_.length();
  }

 private:
  const Lanes& lanes_;
  const T* data_;
  std::unique_ptr<T[]> tile_;
  int64_t first_ = 0, end_ = 0;
};

/// Gives one thread dense lanes to overwrite, one after the other. The destructor completes the writing.
template <class T> class LaneWriter {
 public:
  LaneWriter(const Tensor& y, const Lanes& lanes) : lanes_(lanes), data_(y.data<T>()) {}
  ~LaneWriter() { flush(); }
  LaneWriter(const LaneWriter&) = delete;
  LaneWriter& operator=(const LaneWriter&) = delete;

  T* at(int64_t lane) {
    if (lanes_.dense()) return data_ + lanes_.position(lane);
    if (tile_ == nullptr) tile_ = std::make_unique_for_overwrite<T[]>(lanes_.tile() * lanes_.length());
    if (used_ == lanes_.tile()) flush();
    if (used_ == 0) first_ = lane;
    return tile_.get() + used_++ * lanes_.length();
  }

 private:
  void flush() {
    if (used_ > 0) lanes_.write(tile_.get(), first_, used_, data_);
    used_ = 0;
  }

  const Lanes& lanes_;
  T* data_;
  std::unique_ptr<T[]> tile_;
  int64_t first_ = 0, used_ = 0;
};

/// y = f along `dims`: calls body(n, in, out) for every lane. y has x's shape.
template <class In, class Out, class Body>
void map_lanes(const Tensor& x, const Tensor& y, const std::vector<int64_t>& dims, Body body) {
  const Lanes from(x.layout(), dims), to(y.layout(), dims);
  parallel_for(from.count(), from.tile(), [&](int64_t begin, int64_t end) {
    LaneReader<In> in(x, from);
    LaneWriter<Out> out(y, to);
    for (int64_t lane = begin; lane < end; ++lane) body(from.length(), in.at(lane), out.at(lane));
  });
}

/// `dims` resolved for a tensor of `rank` dimensions, in ascending order. An empty list means all dimensions, as in
/// PyTorch. A tensor without dimensions takes 0 and −1. IndexError if one is out of range, ValueError if one stands
/// twice.
std::vector<int64_t> resolve_dims(const std::vector<int64_t>& dims, int64_t rank, const char* op);
/// One dimension resolved, as a list for Lanes: empty for a tensor without dimensions.
std::vector<int64_t> resolve_dim(int64_t dim, int64_t rank, const char* op);
/// `shape` with 1 in place of each of `dims` (resolved).
Shape kept_shape(const Shape& shape, const std::vector<int64_t>& dims);
/// `shape` without `dims` (resolved).
Shape dropped_shape(const Shape& shape, const std::vector<int64_t>& dims);
/// kept_shape if keepdim, else dropped_shape.
Shape reduced_shape(const Shape& shape, const std::vector<int64_t>& dims, bool keepdim);

}  // namespace qing
