//! Safe calls into the C++ shim (`shim/`), which holds what tch does not bind: the fused optimizer step, process-wide
//! settings, and float32 CPU kernels whose results depend on the values of their own row only.

use crate::error::{Error, Result};
use std::ffi::{CStr, c_char, c_int};
use tch::Tensor;

type TensorPointer = *mut torch_sys::C_tensor;
type Message = *mut c_char;

/// AdamW's settings, as the shim takes them.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct AdamW {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub weight_decay: f64,
    pub epsilon: f64,
}

unsafe extern "C" {
    fn begat_free_message(message: Message);
    fn begat_set_deterministic(fill_uninitialized: bool) -> Message;
    fn begat_set_threads(threads: c_int) -> Message;
    fn begat_has_cuda() -> bool;
    fn begat_torch_version() -> *const c_char;
    fn begat_cpu_capability() -> Message;
    fn begat_cpu_has_kernels() -> bool;
    fn begat_cpu_has_bf16() -> bool;
    fn begat_accelerator_memory(device: c_int, now: *mut i64, peak: *mut i64) -> Message;
    fn begat_adamw_step(
        parameters: *const TensorPointer,
        gradients: *const TensorPointer,
        first: *const TensorPointer,
        second: *const TensorPointer,
        steps: *const TensorPointer,
        count: i64,
        options: AdamW,
    ) -> Message;
    fn begat_combine_gradients(
        parts: *const TensorPointer,
        count: i64,
        into: TensorPointer,
        squares: *mut f64,
    ) -> Message;
    fn begat_take_gradient(leaf: TensorPointer, gradient: *mut TensorPointer) -> Message;
    fn begat_foreach_norm(
        tensors: *const TensorPointer,
        count: i64,
        out: *mut TensorPointer,
    ) -> Message;
    fn begat_attention(
        q: TensorPointer,
        k: TensorPointer,
        v: TensorPointer,
        offsets: *const i64,
        count: i64,
        out: *mut TensorPointer,
    ) -> Message;
    fn begat_attention_decode(
        q: TensorPointer,
        k: TensorPointer,
        v: TensorPointer,
        keys: TensorPointer,
        values: TensorPointer,
        slots: *const i64,
        lengths: *const i64,
        out: *mut TensorPointer,
    ) -> Message;
    fn begat_cache_fill(
        q: TensorPointer,
        k: TensorPointer,
        v: TensorPointer,
        keys: TensorPointer,
        values: TensorPointer,
        slots: *const i64,
        offsets: *const i64,
        sequences: i64,
    ) -> Message;
    fn begat_linear(
        x: TensorPointer,
        weight: TensorPointer,
        bias: TensorPointer,
        by_output: bool,
        out: *mut TensorPointer,
    ) -> Message;
    fn begat_pack(weight: TensorPointer, by_output: bool, out: *mut TensorPointer) -> Message;
    fn begat_linear_packed(
        x: TensorPointer,
        packed: TensorPointer,
        bias: TensorPointer,
        outputs: i64,
        out: *mut TensorPointer,
    ) -> Message;
    fn begat_layer_norm(
        x: TensorPointer,
        gain: TensorPointer,
        bias: TensorPointer,
        epsilon: f64,
        out: *mut TensorPointer,
    ) -> Message;
    fn begat_rms_norm(
        x: TensorPointer,
        gain: TensorPointer,
        epsilon: f64,
        out: *mut TensorPointer,
    ) -> Message;
    fn begat_gelu(x: TensorPointer, out: *mut TensorPointer) -> Message;
    fn begat_swiglu(gate: TensorPointer, up: TensorPointer, out: *mut TensorPointer) -> Message;
    fn begat_rotary(
        x: TensorPointer,
        cosines: TensorPointer,
        sines: TensorPointer,
        positions: TensorPointer,
        out: *mut TensorPointer,
    ) -> Message;
    fn begat_log_probability(
        hidden: TensorPointer,
        weight: TensorPointer,
        targets: TensorPointer,
        temperature: f64,
        measure: bool,
        out: *mut TensorPointer,
    ) -> Message;
    fn begat_cross_entropy(
        hidden: TensorPointer,
        weight: TensorPointer,
        targets: TensorPointer,
        measure: bool,
        out: *mut TensorPointer,
    ) -> Message;
    fn begat_sample_weights(
        logits: *const f32,
        count: i64,
        inverse_temperature: f32,
        weights: *mut u64,
    ) -> u64;
    fn begat_log_normalizer(logits: *const f32, count: i64, inverse_temperature: f32) -> f32;
}

fn pointer(tensor: &Tensor) -> TensorPointer {
    tensor.as_ptr().cast_mut().cast()
}

fn pointers(tensors: &[&Tensor]) -> Vec<TensorPointer> {
    tensors.iter().map(|tensor| pointer(tensor)).collect()
}

fn take_text(message: Message) -> String {
    // SAFETY: the shim returns a NUL-terminated string that it hands over; it is freed once, here.
    unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        begat_free_message(message);
        text
    }
}

fn check(message: Message) -> Result<()> {
    if message.is_null() {
        Ok(())
    } else {
        Err(Error::Shim(take_text(message)))
    }
}

/// Runs `call` with room for `N` tensors and takes them over.
fn results<const N: usize>(
    call: impl FnOnce(*mut TensorPointer) -> Message,
) -> Result<[Tensor; N]> {
    let mut raw = [std::ptr::null_mut(); N];
    check(call(raw.as_mut_ptr()))?;
    // SAFETY: without a message, the shim has set every pointer to a new tensor that it hands over.
    Ok(raw.map(|pointer| unsafe { Tensor::from_ptr(pointer.cast()) }))
}

fn result(call: impl FnOnce(*mut TensorPointer) -> Message) -> Result<Tensor> {
    results::<1>(call).map(|[tensor]| tensor)
}

// SAFETY of all calls below: every pointer comes from a reference that outlives the call, and the counts passed are those
// of the slices. The shim checks shapes where a wrong one could reach outside of a tensor, or the caller in `model/ops.rs`
// builds them.

pub(crate) fn set_deterministic(fill_uninitialized: bool) -> Result<()> {
    check(unsafe { begat_set_deterministic(fill_uninitialized) })
}

pub(crate) fn set_threads(threads: usize) -> Result<()> {
    check(unsafe { begat_set_threads(c_int::try_from(threads).unwrap_or(c_int::MAX)) })
}

pub(crate) fn has_cuda() -> bool {
    unsafe { begat_has_cuda() }
}

pub(crate) fn torch_version() -> String {
    unsafe { CStr::from_ptr(begat_torch_version()) }
        .to_string_lossy()
        .into_owned()
}

pub(crate) fn cpu_capability() -> String {
    take_text(unsafe { begat_cpu_capability() })
}

pub(crate) fn cpu_has_kernels() -> bool {
    unsafe { begat_cpu_has_kernels() }
}

pub(crate) fn cpu_has_bf16() -> bool {
    unsafe { begat_cpu_has_bf16() }
}

/// Bytes of accelerator memory in use, and the most there were.
pub(crate) fn accelerator_memory(device: usize) -> Result<(u64, u64)> {
    let (mut now, mut peak) = (0, 0);
    check(unsafe {
        begat_accelerator_memory(c_int::try_from(device).unwrap_or(0), &mut now, &mut peak)
    })?;
    Ok((now.max(0) as u64, peak.max(0) as u64))
}

/// One optimizer step over lists of equal length.
pub(crate) fn adamw_step(
    parameters: &[&Tensor],
    gradients: &[&Tensor],
    moments: (&[&Tensor], &[&Tensor]),
    steps: &[&Tensor],
    options: AdamW,
) -> Result<()> {
    let lists = [parameters, gradients, moments.0, moments.1, steps].map(pointers);
    debug_assert!(lists.iter().all(|list| list.len() == parameters.len()));
    let [p, g, first, second, steps] = lists.each_ref().map(|list| list.as_ptr());
    check(unsafe { begat_adamw_step(p, g, first, second, steps, parameters.len() as i64, options) })
}

/// Puts the tree sum of the parts (at most four) into `into`; returns the sum of its squares.
pub(crate) fn combine_gradients(parts: &[Option<&Tensor>], into: &Tensor) -> Result<f64> {
    let raw: Vec<TensorPointer> = parts
        .iter()
        .map(|part| part.map_or(std::ptr::null_mut(), pointer))
        .collect();
    let mut squares = 0.0;
    check(unsafe {
        begat_combine_gradients(raw.as_ptr(), raw.len() as i64, pointer(into), &mut squares)
    })?;
    Ok(squares)
}

/// Moves the gradient out of a leaf.
pub(crate) fn take_gradient(leaf: &Tensor) -> Result<Option<Tensor>> {
    let mut raw = std::ptr::null_mut();
    check(unsafe { begat_take_gradient(pointer(leaf), &mut raw) })?;
    // SAFETY: a pointer that is not null is a new tensor that the shim hands over.
    Ok((!raw.is_null()).then(|| unsafe { Tensor::from_ptr(raw.cast()) }))
}

/// The norm over all tensors, as a scalar on their device.
pub(crate) fn foreach_norm(tensors: &[&Tensor]) -> Result<Tensor> {
    let raw = pointers(tensors);
    result(|out| unsafe { begat_foreach_norm(raw.as_ptr(), raw.len() as i64, out) })
}

pub(crate) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, offsets: &[i64]) -> Result<Tensor> {
    let count = offsets.len() as i64;
    result(|out| unsafe {
        begat_attention(
            pointer(q),
            pointer(k),
            pointer(v),
            offsets.as_ptr(),
            count,
            out,
        )
    })
}

pub(crate) fn attention_decode(
    (q, k, v): (&Tensor, &Tensor, &Tensor),
    (keys, values): (&Tensor, &Tensor),
    slots: &[i64],
    lengths: &[i64],
) -> Result<Tensor> {
    result(|out| unsafe {
        let (slots, lengths) = (slots.as_ptr(), lengths.as_ptr());
        begat_attention_decode(
            pointer(q),
            pointer(k),
            pointer(v),
            pointer(keys),
            pointer(values),
            slots,
            lengths,
            out,
        )
    })
}

pub(crate) fn cache_fill(
    (q, k, v): (&Tensor, &Tensor, &Tensor),
    (keys, values): (&Tensor, &Tensor),
    slots: &[i64],
    offsets: &[i64],
) -> Result<()> {
    let (count, slots, offsets) = (slots.len() as i64, slots.as_ptr(), offsets.as_ptr());
    check(unsafe {
        begat_cache_fill(
            pointer(q),
            pointer(k),
            pointer(v),
            pointer(keys),
            pointer(values),
            slots,
            offsets,
            count,
        )
    })
}

/// x·weightᵀ + bias if the weight's rows are outputs, x·weight + bias if they are inputs.
pub(crate) fn linear(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    by_output: bool,
) -> Result<Tensor> {
    let bias = bias.map_or(std::ptr::null_mut(), pointer);
    result(|out| unsafe { begat_linear(pointer(x), pointer(weight), bias, by_output, out) })
}

/// A matrix in the order in which `linear_packed` reads it.
pub(crate) fn pack(weight: &Tensor, by_output: bool) -> Result<Tensor> {
    result(|out| unsafe { begat_pack(pointer(weight), by_output, out) })
}

/// The bits of `linear`, without gradients.
pub(crate) fn linear_packed(
    x: &Tensor,
    packed: &Tensor,
    bias: Option<&Tensor>,
    outputs: i64,
) -> Result<Tensor> {
    let bias = bias.map_or(std::ptr::null_mut(), pointer);
    result(|out| unsafe { begat_linear_packed(pointer(x), pointer(packed), bias, outputs, out) })
}

pub(crate) fn layer_norm(x: &Tensor, gain: &Tensor, bias: &Tensor, epsilon: f64) -> Result<Tensor> {
    result(|out| unsafe {
        begat_layer_norm(pointer(x), pointer(gain), pointer(bias), epsilon, out)
    })
}

pub(crate) fn rms_norm(x: &Tensor, gain: &Tensor, epsilon: f64) -> Result<Tensor> {
    result(|out| unsafe { begat_rms_norm(pointer(x), pointer(gain), epsilon, out) })
}

pub(crate) fn gelu(x: &Tensor) -> Result<Tensor> {
    result(|out| unsafe { begat_gelu(pointer(x), out) })
}

pub(crate) fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    result(|out| unsafe { begat_swiglu(pointer(gate), pointer(up), out) })
}

pub(crate) fn rotary(
    x: &Tensor,
    cosines: &Tensor,
    sines: &Tensor,
    positions: &Tensor,
) -> Result<Tensor> {
    result(|out| unsafe {
        begat_rotary(
            pointer(x),
            pointer(cosines),
            pointer(sines),
            pointer(positions),
            out,
        )
    })
}

/// Log-probability, entropy and correctness of each row.
pub(crate) fn log_probability(
    hidden: &Tensor,
    weight: &Tensor,
    targets: &Tensor,
    temperature: f64,
    measure: bool,
) -> Result<[Tensor; 3]> {
    results(|out| unsafe {
        begat_log_probability(
            pointer(hidden),
            pointer(weight),
            pointer(targets),
            temperature,
            measure,
            out,
        )
    })
}

/// The summed loss, and each row's entropy and correctness.
pub(crate) fn cross_entropy(
    hidden: &Tensor,
    weight: &Tensor,
    targets: &Tensor,
    measure: bool,
) -> Result<[Tensor; 3]> {
    results(|out| unsafe {
        begat_cross_entropy(
            pointer(hidden),
            pointer(weight),
            pointer(targets),
            measure,
            out,
        )
    })
}

/// log Σ e^(logit / temperature), with the bits of `log_probability`.
pub(crate) fn log_normalizer(logits: &[f32], inverse_temperature: f32) -> f32 {
    unsafe { begat_log_normalizer(logits.as_ptr(), logits.len() as i64, inverse_temperature) }
}

/// e^((logit − largest) / temperature) in fixed point, into `weights` of the same length; returns their sum.
pub(crate) fn sample_weights(logits: &[f32], inverse_temperature: f32, weights: &mut [u64]) -> u64 {
    assert_eq!(logits.len(), weights.len());
    unsafe {
        begat_sample_weights(
            logits.as_ptr(),
            logits.len() as i64,
            inverse_temperature,
            weights.as_mut_ptr(),
        )
    }
}
