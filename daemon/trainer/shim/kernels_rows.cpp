#include <algorithm>
#include <cmath>

#include "kernels.h"
#include "vector.h"

namespace begat {
namespace {

constexpr float kGeluSlope = 1.5957691216057308f;  // 2·√(2/π): tanh(u) = 2·sigmoid(2u) − 1
constexpr float kGeluCubic = 0.044715f;

v8 gelu_gate(v8 x) {
  const v8 cubic = fma(multiply(splat(kGeluCubic), multiply(x, x)), x, x);
  return sigmoid(multiply(splat(kGeluSlope), cubic));
}

struct Moments {
  float mean, scale;
};

float row_sum(const float* x, int64_t width) {
  v8 sums = _mm256_setzero_ps();
  for (int64_t i = 0; i < width; i += 8) sums = add(sums, load(x + i, width - i));
  return sum_lanes(sums);
}

Moments row_moments(const float* x, int64_t width, float epsilon) {
  const float mean = row_sum(x, width) / width;
  v8 squares = _mm256_setzero_ps();
  for (int64_t i = 0; i < width; i += 8) {
    const int64_t count = width - i;
    v8 centred = subtract(load(x + i, count), splat(mean));
    if (count < 8) centred = _mm256_and_ps(centred, _mm256_castsi256_ps(tail_mask(count)));
    squares = fma(centred, centred, squares);
  }
  return {mean, 1.0f / std::sqrt(sum_lanes(squares) / width + epsilon)};
}

}  // namespace

void layer_norm_forward(const float* x, const float* gain, const float* bias, int64_t rows, int64_t width, float epsilon,
                        float* y, float* mean, float* scale) {
  for (int64_t row = 0; row < rows; row++, x += width, y += width) {
    const Moments moments = row_moments(x, width, epsilon);
    mean[row] = moments.mean;
    scale[row] = moments.scale;
    for (int64_t i = 0; i < width; i += 8) {
      const int64_t count = width - i;
      const v8 normal = multiply(subtract(load(x + i, count), splat(moments.mean)), splat(moments.scale));
      store(y + i, fma(normal, load(gain + i, count), load(bias + i, count)), count);
    }
  }
}

void layer_norm_backward(const float* x, const float* gain, const float* mean, const float* scale, const float* dy,
                         int64_t rows, int64_t width, float* dx, float* dgain, float* dbias) {
  for (int64_t row = 0; row < rows; row++, x += width, dy += width, dx += width) {
    const v8 centre = splat(mean[row]), factor = splat(scale[row]);
    v8 sums = _mm256_setzero_ps(), dots = _mm256_setzero_ps();
    for (int64_t i = 0; i < width; i += 8) {
      const int64_t count = width - i;
      const v8 normal = multiply(subtract(load(x + i, count), centre), factor), slope = load(dy + i, count);
      const v8 weighted = multiply(slope, load(gain + i, count));
      sums = add(sums, weighted);
      dots = fma(weighted, normal, dots);
      store(dgain + i, fma(slope, normal, load(dgain + i, count)), count);
      store(dbias + i, add(slope, load(dbias + i, count)), count);
    }
    const v8 average = splat(sum_lanes(sums) / width), dot = splat(sum_lanes(dots) / width);
    for (int64_t i = 0; i < width; i += 8) {
      const int64_t count = width - i;
      const v8 normal = multiply(subtract(load(x + i, count), centre), factor);
      const v8 weighted = multiply(load(dy + i, count), load(gain + i, count));
      store(dx + i, multiply(factor, subtract(subtract(weighted, average), multiply(normal, dot))), count);
    }
  }
}

void rms_norm_forward(const float* x, const float* gain, int64_t rows, int64_t width, float epsilon, float* y, float* scale) {
  for (int64_t row = 0; row < rows; row++, x += width, y += width) {
    v8 squares = _mm256_setzero_ps();
    for (int64_t i = 0; i < width; i += 8) {
      const v8 value = load(x + i, width - i);
      squares = fma(value, value, squares);
    }
    scale[row] = 1.0f / std::sqrt(sum_lanes(squares) / width + epsilon);
    for (int64_t i = 0; i < width; i += 8) {
      const int64_t count = width - i;
      store(y + i, multiply(load(gain + i, count), multiply(load(x + i, count), splat(scale[row]))), count);
    }
  }
}

void rms_norm_backward(const float* x, const float* gain, const float* scale, const float* dy, int64_t rows, int64_t width,
                       float* dx, float* dgain) {
  for (int64_t row = 0; row < rows; row++, x += width, dy += width, dx += width) {
    const v8 factor = splat(scale[row]);
    v8 dots = _mm256_setzero_ps();
    for (int64_t i = 0; i < width; i += 8) {
      const int64_t count = width - i;
      const v8 normal = multiply(load(x + i, count), factor), slope = load(dy + i, count);
      dots = fma(multiply(slope, load(gain + i, count)), normal, dots);
      store(dgain + i, fma(slope, normal, load(dgain + i, count)), count);
    }
    const v8 dot = splat(sum_lanes(dots) / width);
    for (int64_t i = 0; i < width; i += 8) {
      const int64_t count = width - i;
      const v8 normal = multiply(load(x + i, count), factor);
      const v8 weighted = multiply(load(dy + i, count), load(gain + i, count));
      store(dx + i, multiply(factor, subtract(weighted, multiply(normal, dot))), count);
    }
  }
}

void sum_rows(const float* x, int64_t rows, int64_t width, float* sums) {
  for (int64_t row = 0; row < rows; row++, x += width) {
    for (int64_t i = 0; i < width; i += 8) store(sums + i, add(load(sums + i, width - i), load(x + i, width - i)), width - i);
  }
}

void gelu_forward(const float* x, int64_t count, float* y) {
  for (int64_t i = 0; i < count; i += 8) {
    const v8 value = load(x + i, count - i);
    store(y + i, multiply(value, gelu_gate(value)), count - i);
  }
}

void gelu_backward(const float* x, const float* dy, int64_t count, float* dx) {
  for (int64_t i = 0; i < count; i += 8) {
    const v8 value = load(x + i, count - i), gate = gelu_gate(value);
    const v8 inner = multiply(splat(kGeluSlope), fma(splat(3 * kGeluCubic), multiply(value, value), splat(1.0f)));
    const v8 curve = multiply(multiply(value, inner), multiply(gate, subtract(splat(1.0f), gate)));
    store(dx + i, multiply(load(dy + i, count - i), add(gate, curve)), count - i);
  }
}

void swiglu_forward(const float* gate, const float* up, int64_t count, float* y) {
  for (int64_t i = 0; i < count; i += 8) {
    const v8 value = load(gate + i, count - i);
    store(y + i, multiply(multiply(value, sigmoid(value)), load(up + i, count - i)), count - i);
  }
}

void swiglu_backward(const float* gate, const float* up, const float* dy, int64_t count, float* dgate, float* dup) {
  for (int64_t i = 0; i < count; i += 8) {
    const int64_t rest = count - i;
    const v8 value = load(gate + i, rest), slope = load(dy + i, rest), open = sigmoid(value), silu = multiply(value, open);
    const v8 curve = fma(silu, subtract(splat(1.0f), open), open);
    store(dup + i, multiply(slope, silu), rest);
    store(dgate + i, multiply(multiply(slope, load(up + i, rest)), curve), rest);
  }
}

void rotary(const float* x, int64_t stride, int64_t tokens, int64_t heads, int64_t dim, const float* cosines,
            const float* sines, const int64_t* positions, float direction, float* y) {
  const int64_t half = dim / 2;
  const v8 turn = splat(direction);
  for (int64_t t = 0; t < tokens; t++) {
    const float *cosine = cosines + positions[t] * half, *sine = sines + positions[t] * half;
    for (int64_t h = 0; h < heads; h++) {
      const float* from = x + t * stride + h * dim;
      float* to = y + (t * heads + h) * dim;
      for (int64_t i = 0; i < half; i += 8) {
        const int64_t count = half - i;
        const v8 first = load(from + i, count), second = load(from + half + i, count);
        const v8 c = load(cosine + i, count), s = multiply(turn, load(sine + i, count));
        store(to + i, subtract(multiply(first, c), multiply(second, s)), count);
        store(to + half + i, add(multiply(second, c), multiply(first, s)), count);
      }
    }
  }
}

}  // namespace begat
