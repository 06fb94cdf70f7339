// Process-wide settings of libtorch that tch does not bind, and facts about this libtorch.
#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <torch/version.h>

#include <cstdlib>
#include <string>

#include "guard.h"

using begat::guarded;

extern "C" {

void begat_free_message(char* message) { std::free(message); }

// Deterministic algorithms only (an operation without one raises), no TF32, no autotuning.
char* begat_set_deterministic(bool fill_uninitialized) {
  return guarded([&] {
    auto& context = at::globalContext();
    context.setDeterministicAlgorithms(true, false);
    context.setDeterministicFillUninitializedMemory(fill_uninitialized);
    context.setBenchmarkCuDNN(false);
    context.setDeterministicCuDNN(true);
    context.setAllowTF32CuBLAS(false);
    context.setAllowTF32CuDNN(false);
    context.setAllowBF16ReductionCuBLAS(false);
  });
}

// Threads inside one operation. begat runs whole lanes in parallel instead, so this is 1 on the CPU.
char* begat_set_threads(int threads) {
  return guarded([&] { at::set_num_threads(threads); });
}

bool begat_has_cuda() { return at::globalContext().hasCUDA(); }

const char* begat_torch_version() { return TORCH_VERSION; }

char* begat_cpu_capability() { return strdup(at::get_cpu_capability().c_str()); }

bool begat_cpu_has_kernels() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

bool begat_cpu_has_bf16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

// Bytes allocated now and at most on an accelerator.
char* begat_accelerator_memory(int device, int64_t* now, int64_t* peak) {
  return guarded([&] {
    const auto stats = at::accelerator::getDeviceStats(static_cast<c10::DeviceIndex>(device));
    *now = stats.allocated_bytes[0].current;
    *peak = stats.allocated_bytes[0].peak;
  });
}
}
