//! jemalloc for the whole process, libtorch's C++ included.
//!
//! glibc's malloc gives the buffers of a step back to the kernel and faults them in again at the next one: on the demo's
//! shapes that was half of the CPU time. `unprefixed` makes jemalloc's `malloc` and `free` the program's own, so libtorch,
//! which looks them up at load time, uses it too; and it keeps what was freed (`dirty_decay_ms:-1`).

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// jemalloc reads this pointer when it starts.
#[repr(transparent)]
struct Options(*const u8);

// SAFETY: it points to a constant.
unsafe impl Sync for Options {}

#[unsafe(no_mangle)]
#[used]
#[allow(non_upper_case_globals, reason = "the name that jemalloc looks for")]
static malloc_conf: Options = Options(
    c"dirty_decay_ms:-1,muzzy_decay_ms:-1,thp:default"
        .as_ptr()
        .cast(),
);

#[cfg(test)]
mod tests {
    unsafe extern "C" {
        fn mallctl(
            name: *const u8,
            old: *mut i64,
            size: *mut usize,
            new: *const u8,
            new_size: usize,
        ) -> i32;
    }

    fn setting(name: &std::ffi::CStr) -> Option<i64> {
        let (mut value, mut size) = (0i64, size_of::<i64>());
        // SAFETY: jemalloc writes at most `size` bytes.
        let code = unsafe {
            mallctl(
                name.as_ptr().cast(),
                &mut value,
                &mut size,
                std::ptr::null(),
                0,
            )
        };
        (code == 0).then_some(value)
    }

    #[test]
    fn the_options_are_taken() {
        assert_eq!(setting(c"opt.dirty_decay_ms"), Some(-1));
    }

    #[test]
    fn libtorch_allocates_through_it() {
        // Bytes that this thread has ever asked of jemalloc.
        let before = setting(c"thread.allocated").unwrap();
        let kept = tch::Tensor::zeros([1 << 20], (tch::Kind::Float, tch::Device::Cpu));
        assert!(
            setting(c"thread.allocated").unwrap() - before >= 4 << 20,
            "{}",
            kept.numel()
        );
    }
}
