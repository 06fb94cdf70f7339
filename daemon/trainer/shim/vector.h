// Eight floats at a time, with the same arithmetic for a whole vector and for a tail: a result depends on the values of its
// own row only, never on how many rows or columns stand beside it. ATen's loops switch to a scalar path at the tail, which
// is why cached and uncached generation would differ by single bits there.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace begat {

using v8 = __m256;
constexpr int64_t kLanes = 8;

inline __m256i tail_mask(int64_t count) {
  alignas(32) static constexpr int32_t kOnes[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kOnes + 8 - count));
}

// The first `count` (at most 8) floats, the rest zero.
inline v8 load(const float* from, int64_t count) {
  return count >= kLanes ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, tail_mask(count));
}

inline void store(float* to, v8 value, int64_t count) {
  if (count >= kLanes) {
    _mm256_storeu_ps(to, value);
  } else {
    _mm256_maskstore_ps(to, tail_mask(count), value);
  }
}

inline v8 splat(float value) { return _mm256_set1_ps(value); }
inline v8 add(v8 a, v8 b) { return _mm256_add_ps(a, b); }
inline v8 subtract(v8 a, v8 b) { return _mm256_sub_ps(a, b); }
inline v8 multiply(v8 a, v8 b) { return _mm256_mul_ps(a, b); }
inline v8 divide(v8 a, v8 b) { return _mm256_div_ps(a, b); }
inline v8 fma(v8 a, v8 b, v8 c) { return _mm256_fmadd_ps(a, b, c); }  // a·b + c

// The lanes as a tree: ((0+4)+(2+6)) + ((1+5)+(3+7)).
inline float sum_lanes(v8 value) {
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps(value, 1));
  __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

inline float max_lanes(v8 value) {
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps(value, 1));
  __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

// e^x within about one unit in the last place (Cephes' polynomial); 0 below -87, and NaN stays NaN.
inline v8 exponential(v8 x) {
  const v8 low = splat(-87.0f), high = splat(88.0f);
  const v8 bounded = _mm256_min_ps(high, _mm256_max_ps(low, x));
  const v8 power = _mm256_round_ps(multiply(bounded, splat(1.44269504088896341f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  v8 rest = fma(power, splat(-0.693359375f), bounded);
  rest = fma(power, splat(2.12194440e-4f), rest);
  v8 series = splat(1.9875691500e-4f);
  series = fma(series, rest, splat(1.3981999507e-3f));
  series = fma(series, rest, splat(8.3334519073e-3f));
  series = fma(series, rest, splat(4.1665795894e-2f));
  series = fma(series, rest, splat(1.6666665459e-1f));
  series = fma(series, rest, splat(5.0000001201e-1f));
  series = add(fma(series, multiply(rest, rest), rest), splat(1.0f));
  const __m256i exponent = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(power), _mm256_set1_epi32(127)), 23);
  const v8 value = multiply(series, _mm256_castsi256_ps(exponent));
  const v8 not_tiny = _mm256_cmp_ps(x, low, _CMP_NLT_UQ);
  const v8 is_nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
  return _mm256_blendv_ps(_mm256_and_ps(value, not_tiny), x, is_nan);
}

inline v8 sigmoid(v8 x) {
  return divide(splat(1.0f), add(splat(1.0f), exponential(subtract(_mm256_setzero_ps(), x))));
}

}  // namespace begat
