// The CPU kernels as operations that autograd knows. Inputs are float32 on the CPU; the Rust side sees to that.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/clone.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "guard.h"
#include "kernels.h"

using at::Tensor;
using begat::guarded;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

namespace {

const float* in(const Tensor& tensor) { return tensor.const_data_ptr<float>(); }
float* out(Tensor& tensor) { return tensor.mutable_data_ptr<float>(); }
float* out_or_null(Tensor& tensor) { return tensor.defined() ? out(tensor) : nullptr; }

Tensor fresh(at::IntArrayRef sizes, const Tensor& like) { return at::empty(sizes, like.options().requires_grad(false)); }

// Attention reads [tokens, heads, dim] with any token stride, so that slices of a fused projection need no copy.
Tensor token_rows(const Tensor& tensor) {
  const bool fits = tensor.stride(2) == 1 && tensor.stride(1) == tensor.size(2);
  return fits ? tensor : tensor.contiguous();
}

begat::Attention attention_shape(const Tensor& q, const Tensor& k, const Tensor& v) {
  const auto dim = q.size(2);
  return {q.size(1), k.size(1), dim, q.stride(0), k.stride(0), v.stride(0), 1.0f / std::sqrt(static_cast<float>(dim))};
}

struct AttentionFunction : torch::autograd::Function<AttentionFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& query, const Tensor& key, const Tensor& value,
                        std::vector<int64_t> offsets) {
    const auto q = token_rows(query), k = token_rows(key), v = token_rows(value);
    const auto shape = attention_shape(q, k, v);
    auto result = fresh({q.size(0), shape.heads * shape.dim}, q);
    auto peak = fresh({shape.heads, q.size(0)}, q), norm = fresh({shape.heads, q.size(0)}, q);
    begat::attention_forward(shape, in(q), in(k), in(v), offsets.data(), offsets.size() - 1, out(result), out(peak), out(norm));
    context->save_for_backward({q, k, v, result, peak, norm});
    context->saved_data["offsets"] = std::move(offsets);
    return result;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2];
    const auto slope = gradients[0].contiguous();
    const auto offsets = context->saved_data["offsets"].toIntVector();
    auto dq = at::zeros(q.sizes(), slope.options()), dk = at::zeros(k.sizes(), slope.options()), dv = at::zeros(v.sizes(), slope.options());
    begat::attention_backward(attention_shape(q, k, v), in(q), in(k), in(v), offsets.data(), offsets.size() - 1, in(saved[3]),
                              in(slope), in(saved[4]), in(saved[5]), {out(dq), out(dk), out(dv)});
    return {dq, dk, dv, Tensor()};
  }
};

// Rows of the stored matrix are outputs (torch's Linear) or inputs (GPT-2's Conv1D).
struct Weight {
  const Tensor& tensor;
  bool by_output;

  int64_t outputs() const { return tensor.size(by_output ? 0 : 1); }
  begat::Matrix forward() const { return {in(tensor), tensor.size(1), by_output}; }
  begat::Matrix backward() const { return {in(tensor), tensor.size(1), !by_output}; }
};

struct LinearFunction : torch::autograd::Function<LinearFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& input, const Tensor& matrix,
                        const std::optional<Tensor>& bias, bool by_output) {
    const auto x = input.contiguous();
    const Weight weight{matrix, by_output};
    const auto outputs = weight.outputs();
    auto y = fresh({x.size(0), outputs}, x);
    begat::multiply(x.size(0), outputs, x.size(1), {in(x), x.size(1), false}, weight.forward(),
                    bias ? in(*bias) : nullptr, false, out(y), outputs);
    context->save_for_backward({x, matrix});
    context->saved_data["by_output"] = by_output;
    context->saved_data["bias"] = bias.has_value();
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &matrix = saved[1];
    const bool by_output = context->saved_data["by_output"].toBool();
    const auto slope = gradients[0].contiguous();
    const auto rows = x.size(0), inputs = x.size(1), outputs = slope.size(1);
    auto dx = fresh(x.sizes(), x), dmatrix = fresh(matrix.sizes(), x);
    begat::multiply(rows, inputs, outputs, {in(slope), outputs, false}, Weight{matrix, by_output}.backward(), nullptr, false,
                    out(dx), inputs);
    const Tensor &left = by_output ? slope : x, &right = by_output ? x : slope;
    begat::multiply(left.size(1), right.size(1), rows, {in(left), left.size(1), true}, {in(right), right.size(1), false},
                    nullptr, false, out(dmatrix), right.size(1));
    Tensor dbias;
    if (context->saved_data["bias"].toBool()) {
      dbias = at::zeros({outputs}, slope.options());
      begat::sum_rows(in(slope), rows, outputs, out(dbias));
    }
    return {dx, dmatrix, dbias, Tensor()};
  }
};

struct LayerNormFunction : torch::autograd::Function<LayerNormFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& input, const Tensor& gain, const Tensor& bias, double epsilon) {
    const auto x = input.contiguous();
    auto y = at::empty_like(x), mean = fresh({x.size(0)}, x), scale = fresh({x.size(0)}, x);
    begat::layer_norm_forward(in(x), in(gain), in(bias), x.size(0), x.size(1), epsilon, out(y), out(mean), out(scale));
    context->save_for_backward({x, gain, mean, scale});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto slope = gradients[0].contiguous();
    auto dx = at::empty_like(x), dgain = at::zeros_like(saved[1]), dbias = at::zeros_like(saved[1]);
    begat::layer_norm_backward(in(x), in(saved[1]), in(saved[2]), in(saved[3]), in(slope), x.size(0), x.size(1), out(dx),
                               out(dgain), out(dbias));
    return {dx, dgain, dbias, Tensor()};
  }
};

struct RmsNormFunction : torch::autograd::Function<RmsNormFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& input, const Tensor& gain, double epsilon) {
    const auto x = input.contiguous();
    auto y = at::empty_like(x), scale = fresh({x.size(0)}, x);
    begat::rms_norm_forward(in(x), in(gain), x.size(0), x.size(1), epsilon, out(y), out(scale));
    context->save_for_backward({x, gain, scale});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto& x = saved[0];
    const auto slope = gradients[0].contiguous();
    auto dx = at::empty_like(x), dgain = at::zeros_like(saved[1]);
    begat::rms_norm_backward(in(x), in(saved[1]), in(saved[2]), in(slope), x.size(0), x.size(1), out(dx), out(dgain));
    return {dx, dgain, Tensor()};
  }
};

struct GeluFunction : torch::autograd::Function<GeluFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& input) {
    const auto x = input.contiguous();
    auto y = at::empty_like(x);
    begat::gelu_forward(in(x), x.numel(), out(y));
    context->save_for_backward({x});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto x = context->get_saved_variables()[0];
    const auto slope = gradients[0].contiguous();
    auto dx = at::empty_like(x);
    begat::gelu_backward(in(x), in(slope), x.numel(), out(dx));
    return {dx};
  }
};

struct SwigluFunction : torch::autograd::Function<SwigluFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& gate_input, const Tensor& up_input) {
    const auto gate = gate_input.contiguous(), up = up_input.contiguous();
    auto y = at::empty_like(gate);
    begat::swiglu_forward(in(gate), in(up), gate.numel(), out(y));
    context->save_for_backward({gate, up});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto slope = gradients[0].contiguous();
    auto dgate = at::empty_like(saved[0]), dup = at::empty_like(saved[1]);
    begat::swiglu_backward(in(saved[0]), in(saved[1]), in(slope), slope.numel(), out(dgate), out(dup));
    return {dgate, dup};
  }
};

Tensor turn(const Tensor& x, const Tensor& cosines, const Tensor& sines, const Tensor& positions, float direction) {
  auto y = fresh(x.sizes(), x);
  begat::rotary(in(x), x.stride(0), x.size(0), x.size(1), x.size(2), in(cosines), in(sines),
                positions.const_data_ptr<int64_t>(), direction, out(y));
  return y;
}

struct RotaryFunction : torch::autograd::Function<RotaryFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& input, const Tensor& cosines, const Tensor& sines, const Tensor& positions) {
    context->save_for_backward({cosines, sines, positions});
    return turn(token_rows(input), cosines, sines, positions, 1.0f);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    return {turn(gradients[0].contiguous(), saved[0], saved[1], saved[2], -1.0f), Tensor(), Tensor(), Tensor()};
  }
};

begat::Output output_shape(const Tensor& hidden, const Tensor& weight, const Tensor& targets, double temperature) {
  return {in(hidden), in(weight), targets.const_data_ptr<int64_t>(), hidden.size(0), hidden.size(1), weight.size(0),
          static_cast<float>(temperature)};
}

struct Measured {
  Tensor log_probability, normalizer, entropy, correct;

  Measured(const Tensor& like, bool measure) {
    const auto options = like.options().requires_grad(false);
    log_probability = at::zeros({like.size(0)}, options);
    normalizer = at::zeros({like.size(0)}, options);
    if (measure) {
      entropy = at::zeros({like.size(0)}, options);
      correct = at::zeros({like.size(0)}, options);
    }
  }

  begat::OutputValues values() { return {out(log_probability), out(normalizer), out_or_null(entropy), out_or_null(correct)}; }

  // Entropy and correctness, for callers that asked.
  variable_list extras() const {
    const auto none = at::empty({0}, normalizer.options());
    return {entropy.defined() ? entropy : none, correct.defined() ? correct : none.clone()};
  }
};

struct LogProbabilityFunction : torch::autograd::Function<LogProbabilityFunction> {
  static variable_list forward(AutogradContext* context, const Tensor& states, const Tensor& weight, const Tensor& targets,
                               double temperature, bool measure) {
    const auto hidden = states.contiguous();
    Measured measured(hidden, measure);
    begat::output_forward(output_shape(hidden, weight, targets, temperature), measured.values());
    context->save_for_backward({hidden, weight, targets, measured.normalizer});
    context->saved_data["temperature"] = temperature;
    const auto extras = measured.extras();
    context->mark_non_differentiable(extras);
    return {measured.log_probability, extras[0], extras[1]};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto slope = gradients[0].contiguous();
    auto dhidden = at::zeros_like(saved[0]), dweight = at::zeros_like(saved[1]);
    const auto shape = output_shape(saved[0], saved[1], saved[2], context->saved_data["temperature"].toDouble());
    begat::output_backward(shape, in(saved[3]), in(slope), out(dhidden), out(dweight));
    return {dhidden, dweight, Tensor(), Tensor(), Tensor()};
  }
};

// The sum of −log p over all targets; its gradients are computed on the way, while the logits are in the cache.
struct CrossEntropyFunction : torch::autograd::Function<CrossEntropyFunction> {
  static variable_list forward(AutogradContext* context, const Tensor& states, const Tensor& weight, const Tensor& targets, bool measure) {
    const auto hidden = states.contiguous();
    Measured measured(hidden, measure);
    auto dhidden = at::zeros_like(hidden), dweight = at::zeros_like(weight);
    begat::output_forward_backward(output_shape(hidden, weight, targets, 1.0), measured.values(), out(dhidden), out(dweight));
    context->save_for_backward({dhidden, dweight});
    const double sum = begat::tree_sum(in(measured.log_probability), hidden.size(0));
    auto loss = fresh({}, hidden);
    *out(loss) = static_cast<float>(-sum);
    const auto extras = measured.extras();
    context->mark_non_differentiable(extras);
    return {loss, extras[0], extras[1]};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    return {saved[0].mul(gradients[0]), saved[1].mul(gradients[0]), Tensor(), Tensor()};
  }
};

void hand_over(const variable_list& values, Tensor** results) {
  for (size_t i = 0; i < values.size(); i++) results[i] = new Tensor(values[i]);
}

}  // namespace

extern "C" {

char* begat_attention(Tensor* q, Tensor* k, Tensor* v, const int64_t* offsets, int64_t count, Tensor** result) {
  return guarded([&] {
    *result = new Tensor(AttentionFunction::apply(*q, *k, *v, std::vector<int64_t>(offsets, offsets + count)));
  });
}

// One token per sequence: q, k, v are [rows, heads, dim]; caches[r] is where row r lives, lengths[r] counts its new token.
char* begat_attention_decode(Tensor* q, Tensor* k, Tensor* v, Tensor* keys, Tensor* values, const int64_t* slots,
                             const int64_t* lengths, Tensor** result) {
  return guarded([&] {
    const auto query = token_rows(*q), key = token_rows(*k), value = token_rows(*v);
    const auto shape = attention_shape(query, key, value);
    const auto capacity = keys->size(3), size = shape.groups * shape.dim * capacity;
    auto answer = fresh({query.size(0), shape.heads * shape.dim}, query);
    for (int64_t row = 0; row < query.size(0); row++) {
      float* own_keys = out(*keys) + slots[row] * size;
      float* own_values = out(*values) + slots[row] * size;
      begat::cache_append(shape, in(key) + row * shape.k_stride, in(value) + row * shape.v_stride, 1, lengths[row] - 1,
                          capacity, own_keys, own_values);
      begat::attention_decode(shape, in(query) + row * shape.q_stride, own_keys, own_values, capacity, lengths[row],
                              out(answer) + row * shape.heads * shape.dim);
    }
    *result = new Tensor(answer);
  });
}

// Whole sequences into the caches of their slots.
char* begat_cache_fill(Tensor* q, Tensor* k, Tensor* v, Tensor* keys, Tensor* values, const int64_t* slots,
                       const int64_t* offsets, int64_t sequences) {
  return guarded([&] {
    const auto key = token_rows(*k), value = token_rows(*v);
    const auto shape = attention_shape(token_rows(*q), key, value);
    const auto capacity = keys->size(3), size = shape.groups * shape.dim * capacity;
    for (int64_t s = 0; s < sequences; s++) {
      begat::cache_append(shape, in(key) + offsets[s] * shape.k_stride, in(value) + offsets[s] * shape.v_stride,
                          offsets[s + 1] - offsets[s], 0, capacity, out(*keys) + slots[s] * size, out(*values) + slots[s] * size);
    }
  });
}

// bias may be null.
char* begat_linear(Tensor* x, Tensor* weight, Tensor* bias, bool by_output, Tensor** result) {
  return guarded([&] { *result = new Tensor(LinearFunction::apply(*x, *weight, bias ? std::make_optional(*bias) : std::nullopt, by_output)); });
}

// A matrix packed for begat_linear_packed: one dimension, and no use but that.
char* begat_pack(Tensor* weight, bool by_output, Tensor** result) {
  return guarded([&] {
    const Weight matrix{*weight, by_output};
    const auto outputs = matrix.outputs(), inputs = weight->numel() / outputs;
    auto packed = fresh({begat::packed_size(outputs, inputs)}, *weight);
    begat::pack_all(outputs, inputs, matrix.forward(), out(packed));
    *result = new Tensor(packed);
  });
}

// The bits of begat_linear, without gradients.
char* begat_linear_packed(Tensor* x, Tensor* packed, Tensor* bias, int64_t outputs, Tensor** result) {
  return guarded([&] {
    const auto input = x->contiguous();
    auto y = fresh({input.size(0), outputs}, input);
    begat::multiply_packed(input.size(0), outputs, input.size(1), {in(input), input.size(1), false}, in(*packed),
                           bias ? in(*bias) : nullptr, out(y), outputs);
    *result = new Tensor(y);
  });
}

char* begat_layer_norm(Tensor* x, Tensor* gain, Tensor* bias, double epsilon, Tensor** result) {
  return guarded([&] { *result = new Tensor(LayerNormFunction::apply(*x, *gain, *bias, epsilon)); });
}

char* begat_rms_norm(Tensor* x, Tensor* gain, double epsilon, Tensor** result) {
  return guarded([&] { *result = new Tensor(RmsNormFunction::apply(*x, *gain, epsilon)); });
}

char* begat_gelu(Tensor* x, Tensor** result) {
  return guarded([&] { *result = new Tensor(GeluFunction::apply(*x)); });
}

char* begat_swiglu(Tensor* gate, Tensor* up, Tensor** result) {
  return guarded([&] { *result = new Tensor(SwigluFunction::apply(*gate, *up)); });
}

char* begat_rotary(Tensor* x, Tensor* cosines, Tensor* sines, Tensor* positions, Tensor** result) {
  return guarded([&] { *result = new Tensor(RotaryFunction::apply(*x, *cosines, *sines, *positions)); });
}

// results: log-probability, entropy, correctness; each [rows].
char* begat_log_probability(Tensor* hidden, Tensor* weight, Tensor* targets, double temperature, bool measure, Tensor** results) {
  return guarded([&] { hand_over(LogProbabilityFunction::apply(*hidden, *weight, *targets, temperature, measure), results); });
}

// results: the sum of −log-probability, entropy and correctness per row.
char* begat_cross_entropy(Tensor* hidden, Tensor* weight, Tensor* targets, bool measure, Tensor** results) {
  return guarded([&] { hand_over(CrossEntropyFunction::apply(*hidden, *weight, *targets, measure), results); });
}

uint64_t begat_sample_weights(const float* logits, int64_t count, float inverse_temperature, uint64_t* weights) {
  return begat::sample_weights(logits, count, inverse_temperature, weights);
}

float begat_log_normalizer(const float* logits, int64_t count, float inverse_temperature) {
  return begat::log_normalizer(logits, count, inverse_temperature);
}
}
