// float32 kernels for the CPU. Each call runs on the calling thread; parallelism is above, in lanes of whole sequences, so
// that no result can depend on the number of threads. No ATen here: these files are compiled for AVX2 + FMA.
#pragma once

#include <cstdint>

namespace begat {

// Row-major matrices; `transposed` ones are stored the other way round.
struct Matrix {
  const float* data;
  int64_t stride;  // from one stored row to the next
  bool transposed;
};
// c = start + a·b, or c += a·b if `add_to`. c: [m, n], inner size k; start: one row of n, or null for zero.
void multiply(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, const float* start, bool add_to, float* c, int64_t c_stride);
// The same bits with a right operand that was packed before: what generation uses for its many small products.
int64_t packed_size(int64_t n, int64_t k);
void pack_all(int64_t n, int64_t k, Matrix b, float* packed);
void multiply_packed(int64_t m, int64_t n, int64_t k, Matrix a, const float* packed, const float* start, float* c, int64_t c_stride);

struct Attention {
  int64_t heads, groups, dim;  // query heads, key/value heads, width of a head (a multiple of 8)
  int64_t q_stride, k_stride, v_stride;  // from one token to the next
  float scale;
};
// Causal attention inside each sequence [offsets[s], offsets[s+1]). out: [tokens, heads·dim]; peak and norm: [heads, tokens].
void attention_forward(const Attention&, const float* q, const float* k, const float* v, const int64_t* offsets,
                       int64_t sequences, float* out, float* peak, float* norm);
struct AttentionGradients {
  float *dq, *dk, *dv;  // dense: [tokens, heads·dim], [tokens, groups·dim] twice, zeroed
};
void attention_backward(const Attention&, const float* q, const float* k, const float* v, const int64_t* offsets,
                        int64_t sequences, const float* out, const float* dout, const float* peak, const float* norm,
                        AttentionGradients);
// One query row per sequence against a cache: keys [groups, dim, capacity], values [groups, capacity, dim].
void attention_decode(const Attention&, const float* q, const float* keys, const float* values, int64_t capacity,
                      int64_t length, float* out);
// Appends `count` tokens of one sequence to its cache.
void cache_append(const Attention&, const float* k, const float* v, int64_t count, int64_t position, int64_t capacity,
                  float* keys, float* values);

void layer_norm_forward(const float* x, const float* gain, const float* bias, int64_t rows, int64_t width, float epsilon,
                        float* y, float* mean, float* scale);
void layer_norm_backward(const float* x, const float* gain, const float* mean, const float* scale, const float* dy,
                         int64_t rows, int64_t width, float* dx, float* dgain, float* dbias);
void rms_norm_forward(const float* x, const float* gain, int64_t rows, int64_t width, float epsilon, float* y, float* scale);
void rms_norm_backward(const float* x, const float* gain, const float* scale, const float* dy, int64_t rows, int64_t width,
                       float* dx, float* dgain);

// sums += every row, in order.
void sum_rows(const float* x, int64_t rows, int64_t width, float* sums);

// GPT-2's GELU (tanh form).
void gelu_forward(const float* x, int64_t count, float* y);
void gelu_backward(const float* x, const float* dy, int64_t count, float* dx);
// silu(gate)·up.
void swiglu_forward(const float* gate, const float* up, int64_t count, float* y);
void swiglu_backward(const float* gate, const float* up, const float* dy, int64_t count, float* dgate, float* dup);

// Rotary positions on [tokens, heads, dim] (token stride given) into dense y; `direction` -1 undoes it.
void rotary(const float* x, int64_t stride, int64_t tokens, int64_t heads, int64_t dim, const float* cosines,
            const float* sines, const int64_t* positions, float direction, float* y);

// Log-probabilities of the targets under softmax(hidden·weightᵀ / temperature), a few rows at a time so that the logits
// stay in the cache. Rows whose target is negative are skipped: value 0.
struct Output {
  const float *hidden, *weight;  // [rows, width], [vocabulary, width]
  const int64_t* targets;        // [rows]
  int64_t rows, width, vocabulary;
  float temperature;
};
struct OutputValues {
  float *log_probability, *log_normalizer;  // [rows]
  float *entropy, *correct;                 // [rows], or both null
};
void output_forward(const Output&, OutputValues);
// The gradient of Σ row_gradient·log_probability; dhidden: [rows, width] zeroed; dweight: [vocabulary, width] zeroed.
void output_backward(const Output&, const float* log_normalizer, const float* row_gradient, float* dhidden, float* dweight);
// Both in one pass, for the plain sum of −log_probability.
void output_forward_backward(const Output&, OutputValues, float* dhidden, float* dweight);
// Log of the softmax's denominator for one row of logits, as output_forward computes it.
float log_normalizer(const float* logits, int64_t count, float inverse_temperature);

// e^((logit − largest logit)·inverse_temperature) in fixed point with 32 bits after the point; returns their sum.
uint64_t sample_weights(const float* logits, int64_t count, float inverse_temperature, uint64_t* weights);

// Sum of a fixed binary tree over blocks of a fixed size, in double within a block's lanes.
double tree_sum(const float* values, int64_t count);
double tree_sum_of_squares(const float* values, int64_t count);
// into = (a0+a1)+(a2+a3)… over `parts` of equal length (null parts count as absent); into may be parts[0].
void tree_add(const float* const* parts, int64_t part_count, int64_t count, float* into);

}  // namespace begat
