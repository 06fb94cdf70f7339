#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels.h"
#include "vector.h"

namespace begat {

namespace {

float largest(const float* logits, int64_t count) {
  v8 peaks = splat(-std::numeric_limits<float>::infinity());
  for (int64_t i = 0; i + 8 <= count; i += 8) peaks = _mm256_max_ps(peaks, _mm256_loadu_ps(logits + i));
  float peak = max_lanes(peaks);
  for (int64_t i = count / 8 * 8; i < count; i++) peak = std::max(peak, logits[i]);
  return peak;
}

}  // namespace

uint64_t sample_weights(const float* logits, int64_t count, float inverse_temperature, uint64_t* weights) {
  const v8 scale = splat(inverse_temperature), top = splat(largest(logits, count));
  uint64_t total = 0;
  alignas(32) float values[8];
  for (int64_t i = 0; i < count; i += 8) {
    _mm256_store_ps(values, exponential(multiply(subtract(load(logits + i, count - i), top), scale)));
    const int64_t filled = std::min<int64_t>(8, count - i);
    for (int64_t lane = 0; lane < filled; lane++) {
      const uint64_t weight = static_cast<uint64_t>(static_cast<int64_t>(values[lane] * 4294967296.0f));
      weights[i + lane] = weight;
      total += weight;
    }
  }
  return total;
}

float log_normalizer(const float* logits, int64_t count, float inverse_temperature) {
  const float peak = largest(logits, count);
  const v8 scale = splat(inverse_temperature), top = splat(peak);
  v8 sums = _mm256_setzero_ps();
  for (int64_t i = 0; i < count; i += 8) {
    v8 value = exponential(multiply(subtract(load(logits + i, count - i), top), scale));
    if (count - i < 8) value = _mm256_and_ps(value, _mm256_castsi256_ps(tail_mask(count - i)));
    sums = add(sums, value);
  }
  return static_cast<float>(std::log(static_cast<double>(sum_lanes(sums)))) + peak * inverse_temperature;
}

namespace {

constexpr int64_t kChunkFloats = 1 << 19;  // 2 MiB of logits at a time

struct Buffers {
  std::vector<float> hidden, logits, gradient;
  std::vector<int64_t> rows;
};

Buffers& buffers() {
  thread_local Buffers kept;
  return kept;
}

// The rows that have a target.
const std::vector<int64_t>& chosen_rows(const Output& o) {
  auto& rows = buffers().rows;
  rows.clear();
  for (int64_t row = 0; row < o.rows; row++) {
    if (o.targets[row] >= 0) rows.push_back(row);
  }
  return rows;
}

int64_t chunk_rows(const Output& o) { return std::max<int64_t>(1, kChunkFloats / o.vocabulary); }

struct Chunk {
  const int64_t* rows;
  int64_t count;
  float *hidden, *logits;
};

// Gathers the chunk's hidden states and computes its logits.
Chunk load_chunk(const Output& o, const std::vector<int64_t>& rows, int64_t first) {
  Chunk chunk{rows.data() + first, std::min<int64_t>(chunk_rows(o), rows.size() - first), nullptr, nullptr};
  buffers().hidden.resize(chunk_rows(o) * o.width);
  buffers().logits.resize(chunk_rows(o) * o.vocabulary);
  chunk.hidden = buffers().hidden.data();
  chunk.logits = buffers().logits.data();
  for (int64_t i = 0; i < chunk.count; i++) {
    std::memcpy(chunk.hidden + i * o.width, o.hidden + chunk.rows[i] * o.width, o.width * sizeof(float));
  }
  multiply(chunk.count, o.vocabulary, o.width, {chunk.hidden, o.width, false}, {o.weight, o.width, true}, nullptr, false,
           chunk.logits, o.vocabulary);
  return chunk;
}

void measure(const float* logits, const Output& o, float inverse_temperature, float normalizer, int64_t target,
             float* entropy, float* correct) {
  v8 expected = _mm256_setzero_ps();
  for (int64_t i = 0; i < o.vocabulary; i += 8) {
    const int64_t count = o.vocabulary - i;
    const v8 logit = multiply(load(logits + i, count), splat(inverse_temperature));
    v8 weighted = multiply(exponential(subtract(logit, splat(normalizer))), logit);
    if (count < 8) weighted = _mm256_and_ps(weighted, _mm256_castsi256_ps(tail_mask(count)));
    expected = add(expected, weighted);
  }
  *entropy = normalizer - sum_lanes(expected);
  const float* best = std::max_element(logits, logits + o.vocabulary);
  *correct = best - logits == target ? 1.0f : 0.0f;
}

void evaluate_rows(const Output& o, const Chunk& chunk, const OutputValues& values) {
  const float inverse = 1.0f / o.temperature;
  for (int64_t i = 0; i < chunk.count; i++) {
    const int64_t row = chunk.rows[i], target = o.targets[row];
    const float* logits = chunk.logits + i * o.vocabulary;
    const float normalizer = log_normalizer(logits, o.vocabulary, inverse);
    values.log_normalizer[row] = normalizer;
    values.log_probability[row] = logits[target] * inverse - normalizer;
    if (values.entropy) measure(logits, o, inverse, normalizer, target, values.entropy + row, values.correct + row);
  }
}

// Turns logits into the gradient of Σ factor·log_probability, in place.
void differentiate_row(const Output& o, float* logits, float normalizer, int64_t target, float factor) {
  const float inverse = 1.0f / o.temperature;
  const v8 scale = splat(inverse), shift = splat(normalizer), weight = splat(-factor * inverse);
  for (int64_t i = 0; i < o.vocabulary; i += 8) {
    const int64_t count = o.vocabulary - i;
    const v8 probability = exponential(subtract(multiply(load(logits + i, count), scale), shift));
    store(logits + i, multiply(weight, probability), count);
  }
  logits[target] += factor * inverse;
}

void spread(const Output& o, const Chunk& chunk, float* dhidden, float* dweight) {
  auto& gradient = buffers().gradient;
  gradient.resize(chunk.count * o.width);
  multiply(chunk.count, o.width, o.vocabulary, {chunk.logits, o.vocabulary, false}, {o.weight, o.width, false}, nullptr,
           false, gradient.data(), o.width);
  for (int64_t i = 0; i < chunk.count; i++) {
    std::memcpy(dhidden + chunk.rows[i] * o.width, gradient.data() + i * o.width, o.width * sizeof(float));
  }
  multiply(o.vocabulary, o.width, chunk.count, {chunk.logits, o.vocabulary, true}, {chunk.hidden, o.width, false}, nullptr,
           true, dweight, o.width);
}

}  // namespace

void output_forward(const Output& o, OutputValues values) {
  const auto& rows = chosen_rows(o);
  for (int64_t first = 0; first < static_cast<int64_t>(rows.size()); first += chunk_rows(o)) {
    evaluate_rows(o, load_chunk(o, rows, first), values);
  }
}

void output_backward(const Output& o, const float* log_normalizer, const float* row_gradient, float* dhidden, float* dweight) {
  const auto& rows = chosen_rows(o);
  for (int64_t first = 0; first < static_cast<int64_t>(rows.size()); first += chunk_rows(o)) {
    const Chunk chunk = load_chunk(o, rows, first);
    for (int64_t i = 0; i < chunk.count; i++) {
      const int64_t row = chunk.rows[i];
      differentiate_row(o, chunk.logits + i * o.vocabulary, log_normalizer[row], o.targets[row], row_gradient[row]);
    }
    spread(o, chunk, dhidden, dweight);
  }
}

void output_forward_backward(const Output& o, OutputValues values, float* dhidden, float* dweight) {
  const auto& rows = chosen_rows(o);
  for (int64_t first = 0; first < static_cast<int64_t>(rows.size()); first += chunk_rows(o)) {
    const Chunk chunk = load_chunk(o, rows, first);
    evaluate_rows(o, chunk, values);
    for (int64_t i = 0; i < chunk.count; i++) {
      const int64_t row = chunk.rows[i];
      differentiate_row(o, chunk.logits + i * o.vocabulary, values.log_normalizer[row], o.targets[row], -1.0f);
    }
    spread(o, chunk, dhidden, dweight);
  }
}

namespace {

constexpr int64_t kTreeBlock = 1024;

template <bool Squares>
double block_sum(const float* values, int64_t count) {
  double lanes[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int lane = 0; lane < 8; lane++) {
      const double value = values[i + lane];
      lanes[lane] += Squares ? value * value : value;
    }
  }
  for (int lane = 0; i < count; i++, lane++) lanes[lane] += Squares ? double(values[i]) * values[i] : values[i];
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

template <bool Squares>
double tree(const float* values, int64_t count) {
  if (count <= kTreeBlock) return block_sum<Squares>(values, count);
  int64_t half = kTreeBlock;
  while (half * 2 < count) half *= 2;
  return tree<Squares>(values, half) + tree<Squares>(values + half, count - half);
}

const float* pick(const float* const* parts, int64_t count, int64_t index) { return index < count ? parts[index] : nullptr; }

}  // namespace

double tree_sum(const float* values, int64_t count) { return tree<false>(values, count); }
double tree_sum_of_squares(const float* values, int64_t count) { return tree<true>(values, count); }

void tree_add(const float* const* parts, int64_t part_count, int64_t count, float* into) {
  // Four lanes at most: (0+1)+(2+3); an absent part is a zero.
  const float* part[4] = {pick(parts, part_count, 0), pick(parts, part_count, 1), pick(parts, part_count, 2),
                          pick(parts, part_count, 3)};
  for (int64_t i = 0; i < count; i += 8) {
    const int64_t rest = count - i;
    v8 value[4];
    for (int p = 0; p < 4; p++) value[p] = part[p] ? load(part[p] + i, rest) : _mm256_setzero_ps();
    store(into + i, add(add(value[0], value[1]), add(value[2], value[3])), rest);
  }
}

}  // namespace begat
