#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels.h"
#include "vector.h"

namespace begat {
namespace {

constexpr int64_t kKeyBlock = 16;    // keys per inner step of the scores
constexpr int64_t kQueryBlock = 64;  // query rows per step of the backward pass

int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

struct Scratch {
  std::vector<float> keys, scores, gradient;
};

Scratch& scratch() {
  thread_local Scratch kept;
  return kept;
}

float* sized(std::vector<float>& buffer, int64_t count) {
  if (static_cast<int64_t>(buffer.size()) < count) buffer.resize(count);
  return buffer.data();
}

// scores[r][j] = scale·q_r·k_j for j < padded; each sum runs over the head's width in order.
template <int R>
void score_rows(const Attention& a, const float* const* q, const float* keys, int64_t capacity, int64_t padded,
                float* scores, int64_t row_stride) {
  for (int64_t j = 0; j < padded; j += kKeyBlock) {
    v8 sums[R][2];
    for (int r = 0; r < R; r++) sums[r][0] = sums[r][1] = _mm256_setzero_ps();
    for (int64_t d = 0; d < a.dim; d++) {
      const v8 first = _mm256_loadu_ps(keys + d * capacity + j);
      const v8 second = _mm256_loadu_ps(keys + d * capacity + j + 8);
      for (int r = 0; r < R; r++) {
        const v8 factor = splat(q[r][d]);
        sums[r][0] = fma(factor, first, sums[r][0]);
        sums[r][1] = fma(factor, second, sums[r][1]);
      }
    }
    for (int r = 0; r < R; r++) {
      _mm256_storeu_ps(scores + r * row_stride + j, multiply(sums[r][0], splat(a.scale)));
      _mm256_storeu_ps(scores + r * row_stride + j + 8, multiply(sums[r][1], splat(a.scale)));
    }
  }
}

struct Softmax {
  float peak, norm;
};

// Turns the first `valid` scores into e^(score − peak), and the rest up to `padded` into zeros.
Softmax soften(float* scores, int64_t valid, int64_t padded) {
  for (int64_t j = valid; j < padded; j++) scores[j] = -std::numeric_limits<float>::infinity();
  v8 peaks = _mm256_loadu_ps(scores);
  for (int64_t j = 8; j < padded; j += 8) peaks = _mm256_max_ps(peaks, _mm256_loadu_ps(scores + j));
  const float peak = max_lanes(peaks);
  v8 sums = _mm256_setzero_ps();
  for (int64_t j = 0; j < padded; j += 8) {
    const v8 value = exponential(subtract(_mm256_loadu_ps(scores + j), splat(peak)));
    _mm256_storeu_ps(scores + j, value);
    sums = add(sums, value);
  }
  return {peak, sum_lanes(sums)};
}

// out_r = Σ_j p_rj·v_j / norm_r; the sum runs over the keys in order.
template <int R>
void mix_rows(const Attention& a, const float* p, int64_t p_stride, const float* v, int64_t v_stride, int64_t keys,
              const Softmax* soft, float* const* out) {
  for (int64_t d = 0; d < a.dim; d += 16) {
    const bool two = d + 8 < a.dim;
    v8 sums[R][2];
    for (int r = 0; r < R; r++) sums[r][0] = sums[r][1] = _mm256_setzero_ps();
    for (int64_t j = 0; j < keys; j++) {
      const float* row = v + j * v_stride + d;
      const v8 first = _mm256_loadu_ps(row);
      const v8 second = two ? _mm256_loadu_ps(row + 8) : first;
      for (int r = 0; r < R; r++) {
        const v8 factor = splat(p[r * p_stride + j]);
        sums[r][0] = fma(factor, first, sums[r][0]);
        sums[r][1] = fma(factor, second, sums[r][1]);
      }
    }
    for (int r = 0; r < R; r++) {
      _mm256_storeu_ps(out[r] + d, divide(sums[r][0], splat(soft[r].norm)));
      if (two) _mm256_storeu_ps(out[r] + d + 8, divide(sums[r][1], splat(soft[r].norm)));
    }
  }
}

// One sequence, one key/value head, R neighbouring query rows that begin at `first`.
template <int R>
void forward_rows(const Attention& a, const float* q, const float* keys, int64_t capacity, const float* v, int64_t first,
                  float* out, float* peak, float* norm) {
  const int64_t padded = round_up(first + R, kKeyBlock);
  float* scores = sized(scratch().scores, R * padded);
  const float* rows[R];
  float* outs[R];
  for (int r = 0; r < R; r++) {
    rows[r] = q + (first + r) * a.q_stride;
    outs[r] = out + (first + r) * a.heads * a.dim;
  }
  score_rows<R>(a, rows, keys, capacity, padded, scores, padded);
  Softmax soft[R];
  for (int r = 0; r < R; r++) {
    soft[r] = soften(scores + r * padded, first + r + 1, padded);
    peak[first + r] = soft[r].peak;
    norm[first + r] = soft[r].norm;
  }
  mix_rows<R>(a, scores, padded, v, a.v_stride, first + R, soft, outs);
}

void transpose_keys(const Attention& a, const float* k, int64_t length, int64_t capacity, float* keys) {
  for (int64_t j = 0; j < length; j++) {
    for (int64_t d = 0; d < a.dim; d++) keys[d * capacity + j] = k[j * a.k_stride + d];
  }
  for (int64_t d = 0; d < a.dim; d++) std::fill(keys + d * capacity + length, keys + (d + 1) * capacity, 0.0f);
}

void forward_head(const Attention& a, const float* q, const float* keys, int64_t capacity, const float* v, int64_t length,
                  float* out, float* peak, float* norm) {
  int64_t row = 0;
  for (; row + 4 <= length; row += 4) forward_rows<4>(a, q, keys, capacity, v, row, out, peak, norm);
  for (; row < length; row++) forward_rows<1>(a, q, keys, capacity, v, row, out, peak, norm);
}

// p and ds of query rows [first, last) against keys [0, last), from the scores and dp in place.
void soften_backward(const Attention& a, int64_t first, int64_t last, const float* peak, const float* norm,
                     const float* out, const float* dout, float* p, float* ds) {
  const int64_t stride = a.heads * a.dim;
  for (int64_t i = first; i < last; i++) {
    float* p_row = p + (i - first) * last;
    float* ds_row = ds + (i - first) * last;
    v8 dots = _mm256_setzero_ps();
    for (int64_t d = 0; d < a.dim; d += 8) {
      dots = fma(_mm256_loadu_ps(out + i * stride + d), _mm256_loadu_ps(dout + i * stride + d), dots);
    }
    const v8 dot = splat(sum_lanes(dots)), top = splat(peak[i]), inverse = splat(1.0f / norm[i]), scale = splat(a.scale);
    for (int64_t j = 0; j <= i; j += 8) {
      const int64_t count = i + 1 - j;
      const v8 value = multiply(exponential(subtract(multiply(load(p_row + j, count), scale), top)), inverse);
      store(p_row + j, value, count);
      store(ds_row + j, multiply(multiply(value, subtract(load(ds_row + j, count), dot)), scale), count);
    }
    std::fill(p_row + i + 1, p_row + last, 0.0f);
    std::fill(ds_row + i + 1, ds_row + last, 0.0f);
  }
}

struct Head {
  const float *q, *k, *v, *out, *dout, *peak, *norm;
  float *dq, *dk, *dv;
};

void backward_head(const Attention& a, const Head& h, int64_t length) {
  const int64_t q_width = a.heads * a.dim, k_width = a.groups * a.dim;
  float* p = sized(scratch().scores, kQueryBlock * length);
  float* ds = sized(scratch().gradient, kQueryBlock * length);
  for (int64_t first = 0; first < length; first += kQueryBlock) {
    const int64_t last = std::min(first + kQueryBlock, length), rows = last - first;
    const float* q = h.q + first * a.q_stride;
    const float* dout = h.dout + first * q_width;
    multiply(rows, last, a.dim, {q, a.q_stride, false}, {h.k, a.k_stride, true}, nullptr, false, p, last);
    multiply(rows, last, a.dim, {dout, q_width, false}, {h.v, a.v_stride, true}, nullptr, false, ds, last);
    soften_backward(a, first, last, h.peak, h.norm, h.out, h.dout, p, ds);
    multiply(last, a.dim, rows, {p, last, true}, {dout, q_width, false}, nullptr, true, h.dv, k_width);
    multiply(last, a.dim, rows, {ds, last, true}, {q, a.q_stride, false}, nullptr, true, h.dk, k_width);
    multiply(rows, a.dim, last, {ds, last, false}, {h.k, a.k_stride, false}, nullptr, false, h.dq + first * q_width, q_width);
  }
}

}  // namespace

void attention_forward(const Attention& a, const float* q, const float* k, const float* v, const int64_t* offsets,
                       int64_t sequences, float* out, float* peak, float* norm) {
  const int64_t tokens = offsets[sequences], per_group = a.heads / a.groups;
  for (int64_t s = 0; s < sequences; s++) {
    const int64_t start = offsets[s], length = offsets[s + 1] - start, capacity = round_up(length, kKeyBlock);
    for (int64_t g = 0; g < a.groups; g++) {
      float* keys = sized(scratch().keys, a.dim * capacity);
      transpose_keys(a, k + start * a.k_stride + g * a.dim, length, capacity, keys);
      for (int64_t h = g * per_group; h < (g + 1) * per_group; h++) {
        forward_head(a, q + start * a.q_stride + h * a.dim, keys, capacity, v + start * a.v_stride + g * a.dim, length,
                     out + start * a.heads * a.dim + h * a.dim, peak + h * tokens + start, norm + h * tokens + start);
      }
    }
  }
}

void attention_backward(const Attention& a, const float* q, const float* k, const float* v, const int64_t* offsets,
                        int64_t sequences, const float* out, const float* dout, const float* peak, const float* norm,
                        AttentionGradients gradients) {
  const int64_t tokens = offsets[sequences], per_group = a.heads / a.groups;
  const int64_t q_width = a.heads * a.dim, k_width = a.groups * a.dim;
  for (int64_t s = 0; s < sequences; s++) {
    const int64_t start = offsets[s], length = offsets[s + 1] - start;
    for (int64_t h = 0; h < a.heads; h++) {
      const int64_t q_at = start * q_width + h * a.dim, g = h / per_group, k_at = start * k_width + g * a.dim;
      backward_head(a,
                    {q + start * a.q_stride + h * a.dim, k + start * a.k_stride + g * a.dim,
                     v + start * a.v_stride + g * a.dim, out + q_at, dout + q_at, peak + h * tokens + start,
                     norm + h * tokens + start, gradients.dq + q_at, gradients.dk + k_at, gradients.dv + k_at},
                    length);
    }
  }
}

void attention_decode(const Attention& a, const float* q, const float* keys, const float* values, int64_t capacity,
                      int64_t length, float* out) {
  const int64_t padded = round_up(length, kKeyBlock), per_group = a.heads / a.groups;
  float* scores = sized(scratch().scores, padded);
  for (int64_t h = 0; h < a.heads; h++) {
    const int64_t g = h / per_group;
    const float* row = q + h * a.dim;
    float* target = out + h * a.dim;
    score_rows<1>(a, &row, keys + g * a.dim * capacity, capacity, padded, scores, padded);
    const Softmax soft = soften(scores, length, padded);
    mix_rows<1>(a, scores, padded, values + g * capacity * a.dim, a.dim, length, &soft, &target);
  }
}

void cache_append(const Attention& a, const float* k, const float* v, int64_t count, int64_t position, int64_t capacity,
                  float* keys, float* values) {
  for (int64_t g = 0; g < a.groups; g++) {
    for (int64_t t = 0; t < count; t++) {
      const float* key = k + t * a.k_stride + g * a.dim;
      float* column = keys + g * a.dim * capacity + position + t;
      for (int64_t d = 0; d < a.dim; d++) column[d * capacity] = key[d];
      std::memcpy(values + (g * capacity + position + t) * a.dim, v + t * a.v_stride + g * a.dim, a.dim * sizeof(float));
    }
  }
}

}  // namespace begat
