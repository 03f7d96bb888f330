// Matrices of plain numbers rounded to Q8_0 when a model is opened (--weights q8): half the bytes to read for each token,
// at the price of a copy in memory and of rounding each value to 1/254 of the largest of its 32. The team does it as a
// job of its own, before any program that was queued later, so opening does not wait. Next: weights.cc.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "program.h"
#include "threads.h"

namespace gptoss {

namespace {

constexpr int64_t kGroup = 32, kGroupBytes = 34;

float of_half(uint16_t h) {
  const uint32_t magnitude = h & 0x7fff;
  if (magnitude >= 0x7c00) return NAN;  // infinite or no number
  const uint32_t bits = magnitude << 13;
  float value;
  std::memcpy(&value, &bits, 4);
  value *= 5.192296858534828e33f;  // 2^112: exponents of a half are 112 lower; subnormals come out right, too
  return h & 0x8000 ? -value : value;
}

// Nearest half, ties to even. `value` is finite and not negative.
uint16_t to_half(float value) {
  if (value >= 65520.0f) return 0x7bff;
  if (value < 6.103515625e-05f) return static_cast<uint16_t>(std::nearbyint(value * 16777216.0f));  // in 2^-24
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  bits += 0xfff + ((bits >> 13) & 1);
  return static_cast<uint16_t>((bits - (112u << 23)) >> 13);
}

void read_group(const Matrix& m, const uint8_t* at, float* x) {
  switch (m.dtype) {
    case DType::F32:
      std::memcpy(x, at, kGroup * 4);
      return;
    case DType::BF16:
      for (int64_t i = 0; i < kGroup; i++) {
        uint16_t h;
        std::memcpy(&h, at + 2 * i, 2);
        const uint32_t bits = static_cast<uint32_t>(h) << 16;
        std::memcpy(x + i, &bits, 4);
      }
      return;
    default:
      for (int64_t i = 0; i < kGroup; i++) {
        uint16_t h;
        std::memcpy(&h, at + 2 * i, 2);
        x[i] = of_half(h);
      }
  }
}

// As ggml writes Q8_0: scale amax / 127 as a half, values rounded to the nearest, ties away from zero.
void write_group(const float* x, uint8_t* out) {
  float most = 0;
  for (int64_t i = 0; i < kGroup; i++) most = std::max(most, std::fabs(x[i]));
  if (!(most < 8e6f)) most = 8e6f;  // the largest half times 127; a damaged file must not become undefined behaviour
  const float scale = most / 127.0f, inverse = scale > 0 ? 1.0f / scale : 0.0f;
  const uint16_t half = to_half(scale);
  std::memcpy(out, &half, 2);
  for (int64_t i = 0; i < kGroup; i++) {
    const float y = x[i] * inverse;
    const float bounded = y > -127.0f ? (y < 127.0f ? y : 127.0f) : -127.0f;  // no number becomes -127
    const int32_t whole = static_cast<int32_t>(bounded);
    const float rest = bounded - static_cast<float>(whole);
    out[2 + i] = static_cast<uint8_t>(whole + (rest >= 0.5f ? 1 : 0) - (rest <= -0.5f ? 1 : 0));
  }
}

void round_row(const Matrix& m, int64_t row, uint8_t* out) {
  const int64_t step = (m.dtype == DType::F32 ? 4 : 2) * kGroup;
  const uint8_t* at = m.data + row * m.row_stride;
  float x[kGroup];
  for (int64_t g = 0; g < m.cols / kGroup; g++, at += step, out += kGroupBytes) {
    read_group(m, at, x);
    write_group(x, out);
  }
}

}  // namespace

int32_t Session::add_rounded(const int64_t* fields, std::shared_ptr<const std::atomic<bool>> cancelled) {
  const int32_t stored = add_matrix(fields);
  auto from = get<MatrixWeight>(stored, "matrix");
  release(stored);
  const Matrix& m = from->matrix;
  const bool plain = m.dtype == DType::F32 || m.dtype == DType::F16 || m.dtype == DType::BF16;
  if (!plain || m.col_stride != 0 || m.experts != 1 || m.cols % kGroup != 0) {
    throw Failure{"internal", "a matrix cannot be rounded to Q8_0; one of plain numbers in rows was expected"};
  }
  auto rounded = std::make_shared<MatrixWeight>();
  const int64_t row_bytes = m.cols / kGroup * kGroupBytes;
  rounded->bytes = std::make_shared<Bytes>();
  rounded->bytes->memory = Memory::zeroed(static_cast<size_t>(row_bytes * m.rows) + 64, "rounded weights");
  rounded->matrix = m;
  rounded->matrix.dtype = DType::Q8_0;
  rounded->matrix.data = rounded->bytes->memory.data();
  rounded->matrix.row_stride = row_bytes;
  rounded->matrix.expert_stride = row_bytes * m.rows;
  constexpr int64_t kPiece = 16;  // rows
  submit(
      [from, rounded, row_bytes, cancelled](Worker& worker) {
        const int64_t rows = from->matrix.rows;
        worker.chunks((rows + kPiece - 1) / kPiece, [&](int64_t i) {
          if (cancelled->load(std::memory_order_relaxed)) return;
          for (int64_t row = i * kPiece; row < std::min(rows, (i + 1) * kPiece); row++) {
            round_row(from->matrix, row, rounded->bytes->memory.data() + row * row_bytes);
          }
        });
      },
      [] {});
  return keep(std::move(rounded));
}

}  // namespace gptoss
