// Resources of a Session that hold numbers: files, matrices over them, vectors, activations, caches. Every matrix is
// checked against the bytes it lies in, although the checkpoint reader did so before: this is the last line of defence.
// Next: record.cc.
#include <algorithm>
#include <cstring>

#include "expert_store.h"
#include "file_guard.h"
#include "program.h"

namespace gptoss {

namespace {

struct TypeSize { int32_t values, bytes; };  // of one group

// In the order of DType.
constexpr TypeSize kTypeSizes[] = {
    {1, 4}, {1, 2}, {1, 2}, {32, 34}, {32, 17}, {32, 17}, {32, 16}, {32, 18}, {32, 20},
    {32, 22}, {32, 24}, {256, 84}, {256, 110}, {256, 144}, {256, 176}, {256, 210}, {32, 18},
};
constexpr int64_t kTypeCount = sizeof(kTypeSizes) / sizeof(kTypeSizes[0]);

[[noreturn]] void outside(const char* what) {
  throw Failure{"bad-checkpoint", std::string(what) + " of a matrix lie outside the file; it is damaged or was cut short"};
}

// Where the last of `count` things `stride` apart starts; refuses what does not fit into `size` without overflowing.
int64_t last_start(int64_t count, int64_t stride, int64_t size, const char* what) {
  if (count <= 1) return 0;
  if (stride < 0 || (stride > 0 && count - 1 > size / stride)) outside(what);
  return (count - 1) * stride;
}

// Gives the bytes from an expert's first to its last.
int64_t check_extent(int64_t size, int64_t offset, int64_t experts, int64_t expert_stride, int64_t rows, int64_t row_stride,
                  int64_t cols, int64_t col_stride, int64_t row_bytes, const char* what) {
  if (offset < 0 || offset > size || row_bytes > size) outside(what);
  const int64_t in_expert = last_start(rows, row_stride, size, what) + last_start(cols, col_stride, size, what);
  const int64_t last = last_start(experts, expert_stride, size, what) + in_expert;
  if (last > size || offset + last > size - row_bytes) outside(what);
  return in_expert + row_bytes;
}

}  // namespace

int32_t Session::keep(std::shared_ptr<Resource> resource) {
  resources_.push_back(std::move(resource));
  return static_cast<int32_t>(resources_.size() - 1);
}

void Session::release(int32_t handle) {
  if (handle < 0 || handle >= static_cast<int32_t>(resources_.size())) return;
  auto& resource = resources_[static_cast<size_t>(handle)];
  if (auto cache = std::dynamic_pointer_cast<Cache>(resource)) cache->closed = true;
  resource.reset();
}

int32_t Session::add_file(const std::string& path) {
  auto bytes = std::make_shared<Bytes>();
  bytes->memory = Memory::map_file(path);
  bytes->path = path;
  return keep(std::move(bytes));
}

int32_t Session::lost_file() const {
  if (!any_mapping_lost() && experts_ == nullptr) return -1;
  for (size_t i = 0; i < resources_.size(); i++) {
    const auto bytes = std::dynamic_pointer_cast<Bytes>(resources_[i]);
    if (bytes && (bytes->memory.lost() || (experts_ != nullptr && experts_->failed(bytes.get())))) return static_cast<int32_t>(i);
  }
  return -1;
}

int64_t Session::hold_experts(const Program& program, int64_t bytes) {
  if (experts_ == nullptr && bytes > 0) experts_ = ExpertStore::make(program, static_cast<size_t>(bytes));
  return experts_ == nullptr ? 0 : static_cast<int64_t>(experts_->bytes());
}

int32_t Session::add_bytes(int64_t size) {
  if (size < 0) throw Failure{"internal", "a negative size was asked for"};
  auto bytes = std::make_shared<Bytes>();
  bytes->memory = Memory::zeroed(static_cast<size_t>(size), "weights");
  bytes->writable = true;
  return keep(std::move(bytes));
}

// Fields: dtype, experts, rows, cols, bytes handle, offset, row stride, expert stride, column stride (0 = contiguous),
// scales handle (-1 = none), their offset, row stride, expert stride.
int32_t Session::add_matrix(const int64_t* f) {
  const auto count = [](int64_t n) { return n >= 1 && n <= INT32_MAX; };
  if (f[0] < 0 || f[0] >= kTypeCount || !count(f[1]) || !count(f[2]) || !count(f[3])) {
    throw Failure{"bad-checkpoint", "a matrix has an unknown type or an impossible shape"};
  }
  auto weight = std::make_shared<MatrixWeight>();
  Matrix& m = weight->matrix;
  const TypeSize type = kTypeSizes[f[0]];
  m.dtype = static_cast<DType>(f[0]);
  m.experts = static_cast<int32_t>(f[1]);
  m.rows = static_cast<int32_t>(f[2]);
  m.cols = static_cast<int32_t>(f[3]);
  m.row_stride = f[6];
  m.expert_stride = f[7];
  m.col_stride = f[8];
  if (m.cols % type.values != 0) {
    throw Failure{"bad-checkpoint", "a matrix has " + std::to_string(m.cols) + " columns, no multiple of its group of " +
                                        std::to_string(type.values)};
  }
  if (m.col_stride < 0 || (m.col_stride > 0 && type.values != 1)) outside("columns");
  weight->bytes = get<Bytes>(f[4], "file");
  const int64_t size = static_cast<int64_t>(weight->bytes->memory.size());
  const int64_t groups = m.cols / type.values;
  const bool strided = m.col_stride > 0;
  weight->expert_bytes = check_extent(size, f[5], m.experts, m.expert_stride, m.rows, m.row_stride, strided ? m.cols : 1, m.col_stride,
               strided ? type.bytes : groups * type.bytes, "values");
  m.data = weight->bytes->memory.data() + f[5];
  if (m.dtype == DType::MXFP4_SPLIT) {
    weight->scale_bytes = get<Bytes>(f[9], "file of scales");
    m.scale_row_stride = f[11];
    m.scale_expert_stride = f[12];
    weight->expert_scale_bytes = check_extent(static_cast<int64_t>(weight->scale_bytes->memory.size()), f[10], m.experts, m.scale_expert_stride, m.rows,
                 m.scale_row_stride, 1, 0, groups, "scales");
    m.scales = weight->scale_bytes->memory.data() + f[10];
  }
  return keep(std::move(weight));
}

int32_t Session::add_vector(const float* data, int64_t length) {
  auto weight = std::make_shared<VectorWeight>();
  weight->memory = Memory::zeroed(static_cast<size_t>(length) * 4 + 64, "a vector");
  weight->length = length;
  if (length > 0) std::memcpy(weight->memory.data(), data, static_cast<size_t>(length) * 4);
  return keep(std::move(weight));
}

int32_t Session::add_buffer(int32_t width, bool integers, bool scored, int32_t max_rows) {
  if (width < 1 || max_rows < 1 || max_rows > max_rows_) {
    throw Failure{"internal", "a buffer of no width, or with too many rows, was asked for"};
  }
  auto buffer = std::make_shared<Activation>();
  // A vector's worth behind the end, so that kernels may load whole vectors.
  buffer->memory = Memory::zeroed((static_cast<size_t>(max_rows) * static_cast<size_t>(width) + 64) * 4, "activations");
  buffer->width = width;
  buffer->max_rows = max_rows;
  buffer->integers = integers;
  buffer->scored = scored;
  return keep(std::move(buffer));
}

// Fields: type, kv heads, head size, page tokens, full pages, sliding pages, then one 0/1 (sliding) per layer.
int32_t Session::add_cache(const int32_t* f, int64_t count) {
  constexpr int64_t kHeader = 6;
  if (count < kHeader || count > kHeader + 65536) throw Failure{"internal", "a cache was described wrongly"};
  const bool power = f[3] >= 1 && (f[3] & (f[3] - 1)) == 0;
  if (f[0] < 0 || f[0] > 2 || f[1] < 1 || f[1] > 65536 || f[2] < 2 || f[2] > 256 || f[2] % 2 != 0 || !power ||
      f[3] > 65536 || f[4] < 0 || f[5] < 0) {
    throw Failure{"invalid-request", "the cache has a shape this backend cannot hold (head size even and at most 256, "
                                     "page size a power of two)"};
  }
  auto cache = std::make_shared<Cache>();
  KvLayer layer{};
  layer.type = static_cast<KvType>(f[0]);
  layer.kv_heads = f[1];
  layer.head_dim = f[2];
  layer.page_tokens = f[3];
  if (layer.type == KvType::Q8 && layer.head_dim % 32 != 0) {
    throw Failure{"invalid-request", "the 8-bit cache needs a head size that is a multiple of 32; use f16"};
  }
  const int64_t dim = layer.head_dim;
  layer.token_bytes = layer.type == KvType::F32 ? dim * 4 : layer.type == KvType::F16 ? dim * 2 : dim + dim / 32 * 2;
  cache->full_pages = f[4];
  cache->sliding_pages = f[5];
  cache->page_tokens = f[3];
  cache->page_bytes = layer.token_bytes * layer.page_tokens * layer.kv_heads;
  double total = 0;
  for (int64_t i = kHeader; i < count; i++) {
    cache->sliding.push_back(f[i] != 0);
    total += 2.0 * static_cast<double>(cache->page_bytes) * cache->pages(f[i] != 0);
  }
  if (total > 1e15) throw Failure{"out-of-memory", "the cache would take more than 10^15 bytes; lower the context"};
  // Behind the end: kernels may load whole vectors.
  cache->memory = Memory::zeroed(static_cast<size_t>(total) + 4096, "the key-value cache");
  uint8_t* at = cache->memory.data();
  for (size_t l = 0; l < cache->sliding.size(); l++) {
    const int64_t bytes = cache->page_bytes * cache->pages(cache->sliding[l]);
    layer.k = at;
    layer.v = at + bytes;
    at += 2 * bytes;
    cache->layers.push_back(layer);
  }
  return keep(std::move(cache));
}

}  // namespace gptoss
