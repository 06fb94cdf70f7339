// The optimizer step, and the sums that its clipping needs.
#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/scalar_tensor.h>
#include <c10/core/GradMode.h>

#include "guard.h"
#include "kernels.h"

using begat::guarded;

namespace {

std::vector<at::Tensor> list(at::Tensor* const* tensors, int64_t count) {
  std::vector<at::Tensor> values;
  for (int64_t i = 0; i < count; i++) values.push_back(*tensors[i]);
  return values;
}

}  // namespace

extern "C" {

struct BegatAdamW {
  double learning_rate, beta1, beta2, weight_decay, epsilon;
};

// One AdamW step over lists of parameters, gradients and moments; `steps` are float scalars that already count this step.
char* begat_adamw_step(at::Tensor* const* parameters, at::Tensor* const* gradients, at::Tensor* const* first_moments,
                       at::Tensor* const* second_moments, at::Tensor* const* steps, int64_t count, BegatAdamW options) {
  return guarded([&] {
    c10::NoGradGuard no_grad;
    auto values = list(parameters, count), slopes = list(gradients, count), firsts = list(first_moments, count),
         seconds = list(second_moments, count), counters = list(steps, count);
    at::_fused_adamw_(values, slopes, firsts, seconds, {}, counters, options.learning_rate, options.beta1, options.beta2,
                      options.weight_decay, options.epsilon, /*amsgrad=*/false, /*maximize=*/false);
  });
}

// Moves the gradient out of a leaf, so that the next one starts anew without being zeroed. Null if it has none.
char* begat_take_gradient(at::Tensor* leaf, at::Tensor** gradient) {
  return guarded([&] {
    auto& held = leaf->mutable_grad();
    *gradient = held.defined() ? new at::Tensor(held) : nullptr;
    held = at::Tensor();
  });
}

// The tree sum of the lanes' gradients of one parameter (null: none) goes into `into`, and its squares are returned.
char* begat_combine_gradients(at::Tensor* const* parts, int64_t part_count, at::Tensor* into, double* squares) {
  return guarded([&] {
    TORCH_CHECK(part_count <= 4 && into->is_contiguous(), "expected at most four gradients and a contiguous sum");
    const float* data[4] = {nullptr, nullptr, nullptr, nullptr};
    std::vector<at::Tensor> kept;
    for (int64_t p = 0; p < part_count; p++) {
      if (!parts[p]) continue;
      TORCH_CHECK(parts[p]->sizes() == into->sizes(), "expected gradients of the parameter's shape");
      kept.push_back(parts[p]->contiguous());
      data[p] = kept.back().const_data_ptr<float>();
    }
    begat::tree_add(data, 4, into->numel(), into->mutable_data_ptr<float>());
    *squares = begat::tree_sum_of_squares(into->const_data_ptr<float>(), into->numel());
  });
}

// The norm over all tensors as a scalar on their device, without waiting for it.
char* begat_foreach_norm(at::Tensor* const* tensors, int64_t count, at::Tensor** out) {
  return guarded([&] {
    c10::NoGradGuard no_grad;
    *out = new at::Tensor(at::stack(at::_foreach_norm(list(tensors, count), 2)).square().sum().sqrt());
  });
}
}
