// Matrix products whose every element is one sum in the order of the inner index, each step a fused multiply-add.
//
// So a row of the result does not depend on how many rows stand beside it, nor on the machine. MKL's sgemm has neither
// property (below 4 rows with AVX2, 12 with AVX-512, it takes other kernels) and is slower here: it reaches about two
// thirds of a Zen core's peak. The scheme is the usual one (Goto and van de Geijn): the right operand is packed into panels of
// 16 columns that stay in the first-level cache, and tiles of 6 rows by 16 columns are summed in registers.
#include <algorithm>
#include <vector>

#include "kernels.h"
#include "vector.h"

namespace begat {
namespace {

constexpr int64_t kPanel = 16;  // columns of a panel
constexpr int64_t kTile = 6;    // rows of a tile
constexpr int64_t kDepth = 256;  // inner steps at a time: a panel of 16 KiB

// Rows of the left operand from `data` on: element (row, inner step) of a tile lies at row·row_step + inner·inner_step,
// and the tile that begins with row r at r·tile_step.
struct Left {
  const float* data;
  int64_t row_step, inner_step, tile_step;
};

template <int R>
inline void tile(int64_t depth, Left a, const float* panel, v8 sums[R][2]) {
  const float* rows[R];
  for (int r = 0; r < R; r++) rows[r] = a.data + r * a.row_step;
  for (int64_t k = 0; k < depth; k++) {
    const v8 first = _mm256_loadu_ps(panel + k * kPanel), second = _mm256_loadu_ps(panel + k * kPanel + 8);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
      const v8 factor = _mm256_broadcast_ss(rows[r] + k * a.inner_step);
      sums[r][0] = fma(factor, first, sums[r][0]);
      sums[r][1] = fma(factor, second, sums[r][1]);
    }
  }
}

// R rows of one panel, on top of `start` (a row to begin with, shared by all; null: zero) or of what c holds.
template <int R>
void rows_of_panel(int64_t depth, Left a, const float* panel, const float* start, bool add_to, float* c, int64_t c_stride,
                   int64_t columns) {
  v8 sums[R][2];
  for (int r = 0; r < R; r++) {
    const float* from = add_to ? c + r * c_stride : start;
    sums[r][0] = from ? load(from, columns) : _mm256_setzero_ps();
    sums[r][1] = from && columns > 8 ? load(from + 8, columns - 8) : _mm256_setzero_ps();
  }
  tile<R>(depth, a, panel, sums);
  for (int r = 0; r < R; r++) {
    store(c + r * c_stride, sums[r][0], columns);
    if (columns > 8) store(c + r * c_stride + 8, sums[r][1], columns - 8);
  }
}

void panel_product(int64_t m, int64_t depth, Left a, const float* panel, const float* start, bool add_to, float* c,
                   int64_t c_stride, int64_t columns) {
  int64_t row = 0;
  const auto at = [&](int64_t r) { return Left{a.data + r * a.tile_step, a.row_step, a.inner_step, a.tile_step}; };
  for (; row + kTile <= m; row += kTile) {
    rows_of_panel<kTile>(depth, at(row), panel, start, add_to, c + row * c_stride, c_stride, columns);
  }
  float* rest = c + row * c_stride;
  switch (m - row) {
    case 5: return rows_of_panel<5>(depth, at(row), panel, start, add_to, rest, c_stride, columns);
    case 4: return rows_of_panel<4>(depth, at(row), panel, start, add_to, rest, c_stride, columns);
    case 3: return rows_of_panel<3>(depth, at(row), panel, start, add_to, rest, c_stride, columns);
    case 2: return rows_of_panel<2>(depth, at(row), panel, start, add_to, rest, c_stride, columns);
    case 1: return rows_of_panel<1>(depth, at(row), panel, start, add_to, rest, c_stride, columns);
  }
}

void transpose_8x8(const float* from, int64_t stride, float* to, int64_t to_stride) {
  v8 row[8], pair[8], quad[8];
  for (int i = 0; i < 8; i++) row[i] = _mm256_loadu_ps(from + i * stride);
  for (int i = 0; i < 4; i++) {
    pair[2 * i] = _mm256_unpacklo_ps(row[2 * i], row[2 * i + 1]);
    pair[2 * i + 1] = _mm256_unpackhi_ps(row[2 * i], row[2 * i + 1]);
  }
  for (int half = 0; half < 2; half++) {
    const v8 *low = pair + 4 * half, *high = low + 2;
    quad[4 * half] = _mm256_shuffle_ps(low[0], high[0], 0x44);
    quad[4 * half + 1] = _mm256_shuffle_ps(low[0], high[0], 0xee);
    quad[4 * half + 2] = _mm256_shuffle_ps(low[1], high[1], 0x44);
    quad[4 * half + 3] = _mm256_shuffle_ps(low[1], high[1], 0xee);
  }
  for (int i = 0; i < 4; i++) {
    _mm256_storeu_ps(to + i * to_stride, _mm256_permute2f128_ps(quad[i], quad[4 + i], 0x20));
    _mm256_storeu_ps(to + (i + 4) * to_stride, _mm256_permute2f128_ps(quad[i], quad[4 + i], 0x31));
  }
}

// Inner steps [0, depth) of 16 columns, of which `columns` exist; the operand is stored column by column.
void pack_transposed(const float* from, int64_t stride, int64_t depth, int64_t columns, float* panel) {
  int64_t column = 0;
  for (; column + 8 <= columns; column += 8) {
    int64_t k = 0;
    for (; k + 8 <= depth; k += 8) transpose_8x8(from + column * stride + k, stride, panel + k * kPanel + column, kPanel);
    for (; k < depth; k++) {
      for (int64_t i = column; i < column + 8; i++) panel[k * kPanel + i] = from[i * stride + k];
    }
  }
  for (int64_t k = 0; k < depth; k++) {
    for (int64_t i = column; i < kPanel; i++) panel[k * kPanel + i] = i < columns ? from[i * stride + k] : 0.0f;
  }
}

void pack_plain(const float* from, int64_t stride, int64_t depth, int64_t columns, float* panel) {
  for (int64_t k = 0; k < depth; k++, from += stride, panel += kPanel) {
    _mm256_storeu_ps(panel, load(from, columns));
    _mm256_storeu_ps(panel + 8, columns > 8 ? load(from + 8, columns - 8) : _mm256_setzero_ps());
  }
}

void pack(Matrix b, int64_t first_step, int64_t depth, int64_t first_column, int64_t columns, float* panel) {
  if (b.transposed) {
    pack_transposed(b.data + first_column * b.stride + first_step, b.stride, depth, columns, panel);
  } else {
    pack_plain(b.data + first_step * b.stride + first_column, b.stride, depth, columns, panel);
  }
}

// A transposed left operand is packed into tiles, since its rows lie across the memory.
Left left_from(Matrix a, int64_t m, int64_t first_step, int64_t depth) {
  if (!a.transposed) return {a.data + first_step, a.stride, 1, a.stride};
  thread_local std::vector<float> kept;
  const int64_t size = (m + kTile - 1) / kTile * kTile * depth;
  if (static_cast<int64_t>(kept.size()) < size + 8) kept.resize(size + 8);
  for (int64_t row = 0; row < m; row += kTile) {
    const int64_t rows = std::min<int64_t>(8, m - row);
    const float* from = a.data + first_step * a.stride + row;
    float* to = kept.data() + row * depth;
    for (int64_t k = 0; k < depth; k++, from += a.stride, to += kTile) {
      _mm256_storeu_ps(to, load(from, rows));  // two more than a tile; the next step overwrites them
    }
  }
  return {kept.data(), 1, kTile, depth};
}

}  // namespace

void multiply(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, const float* start, bool add_to, float* c, int64_t c_stride) {
  alignas(64) float panel[kDepth * kPanel];
  for (int64_t step = 0; step < k; step += kDepth) {
    const int64_t depth = std::min(kDepth, k - step);
    const Left left = left_from(a, m, step, depth);
    for (int64_t column = 0; column < n; column += kPanel) {
      const int64_t columns = std::min(kPanel, n - column);
      pack(b, step, depth, column, columns, panel);
      panel_product(m, depth, left, panel, start ? start + column : nullptr, add_to || step > 0, c + column,
                    c_stride, columns);
    }
  }
}

int64_t packed_size(int64_t n, int64_t k) { return (n + kPanel - 1) / kPanel * kPanel * k; }

void pack_all(int64_t n, int64_t k, Matrix b, float* packed) {
  for (int64_t column = 0; column < n; column += kPanel) pack(b, 0, k, column, std::min(kPanel, n - column), packed + column * k);
}

void multiply_packed(int64_t m, int64_t n, int64_t k, Matrix a, const float* packed, const float* start, float* c, int64_t c_stride) {
  const Left left = left_from(a, m, 0, k);
  for (int64_t column = 0; column < n; column += kPanel) {
    panel_product(m, k, left, packed + column * k, start ? start + column : nullptr, false, c + column, c_stride,
                  std::min(kPanel, n - column));
  }
}

}  // namespace begat
