#!/bin/sh
# Fetches the pinned libtorch into .libtorch/ of the repository (CUDA=1: what CUDA needs besides, into .libtorch/cuda/).
#
# Safe to run at any time: it does nothing when the pinned files are there, goes on with what an interrupted run had
# downloaded, and puts a folder in its final place only when it is whole. Every wheel is checked against cpu.txt/cuda.txt.
# The link folder holds no CUDA library on purpose: one binary is linked for both, and libtorch_cuda.so is loaded at run
# time if a stage asks for device = "cuda".
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
home="$root/.libtorch"
download="$home/download"

say() { printf 'libtorch: %s\n' "$*" >&2; }
die() { say "$1"; shift; for hint in "$@"; do printf '  hint: %s\n' "$hint" >&2; done; exit 1; }

# Of the pins, and of a number that changes when the layout of the folder does.
layout=1
stamp_of() { { printf 'layout %s\n' "$layout"; cat "$here/$1.txt"; } | sha256sum | cut -c1-64; }

is_current() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

check_platform() {
    system="$(uname -s)-$(uname -m)"
    [ "$system" = "Linux-x86_64" ] || die "no pinned libtorch for $system, only for Linux-x86_64" \
        "install libtorch 2.11 yourself and set LIBTORCH to its folder (with include/ and lib/)"
}

check_compiler() {
    for compiler in "${CXX:-}" c++ g++ clang++; do
        [ -n "$compiler" ] && command -v "$compiler" >/dev/null 2>&1 && return 0
    done
    die "no C++ compiler found (looked for \$CXX, c++, g++, clang++)" "on Debian or Ubuntu: apt-get install g++"
}

find_pip() {
    python="${PYTHON:-python3}"
    command -v "$python" >/dev/null 2>&1 || die "no $python found; it is needed to download and unpack the wheels" \
        "install Python 3 with pip, or set PYTHON to it"
    "$python" -m pip --version >/dev/null 2>&1 || die "$python has no pip; it is needed to download the wheels" \
        "on Debian or Ubuntu: apt-get install python3-pip; elsewhere: $python -m ensurepip"
}

check_space() {
    needed_kib=$(($1 * 1024 * 1024))
    free_kib=$(df -Pk "$home" | awk 'NR == 2 { print $4 }')
    [ "$free_kib" -ge "$needed_kib" ] || die \
        "only $((free_kib / 1024)) MiB free at $home; $1 GiB are needed while unpacking" "free some space and run it again"
}

# Whole wheels that are already in the download folder are checked and kept, not fetched again.
fetch_wheels() {
    say "downloading $2 of wheels to $download (each is checked against $1.txt)"
    "$python" -m pip download --disable-pip-version-check --no-input --no-cache-dir --require-hashes --no-deps \
        --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --abi none \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_25_x86_64 \
        --platform manylinux_2_18_x86_64 --platform manylinux2014_x86_64 --platform manylinux2010_x86_64 \
        --platform manylinux1_x86_64 --dest "$download" --requirement "$here/$1.txt" >&2 ||
        die "pip could not download the wheels of $here/$1.txt (see above)" \
            "run it again: what was downloaded whole is kept" "behind a mirror: set PIP_INDEX_URL"
}

# unpack WHEEL_PREFIX TARGET MEMBER_PATTERN: only the members whose path matches the regular expression.
unpack() {
    "$python" - "$download" "$1" "$2" "$3" <<'PYTHON'
import pathlib, re, sys, zipfile
download, prefix, target, pattern = sys.argv[1:]
wheels = sorted(pathlib.Path(download).glob(prefix + "-*.whl"))
if len(wheels) != 1:
    sys.exit(f"libtorch: expected one wheel {prefix}-*.whl in {download}, found {len(wheels)}")
with zipfile.ZipFile(wheels[0]) as wheel:
    members = [name for name in wheel.namelist() if re.fullmatch(pattern, name)]
    if not members:
        sys.exit(f"libtorch: {wheels[0].name} has no member that matches {pattern}")
    wheel.extractall(target, members)
PYTHON
}

install_cpu() {
    stamp=$(stamp_of cpu)
    is_current "$home/cpu.stamp" "$stamp" && { say "$home is up to date"; return 0; }
    check_compiler
    find_pip
    check_space 4
    fetch_wheels cpu "520 MB"
    say "unpacking (about 520 MB)"
    partial="$home/partial"
    rm -rf "$partial" "$home/cpu.stamp"
    unpack torch "$partial" 'torch/(include/.*|lib/(libtorch_cpu\.so|libc10\.so|libgomp[^/]*))'
    unpack nvidia_cuda_runtime "$partial" 'nvidia/cu13/lib/libcudart\.so\.13'
    unpack nvidia_cuda_cupti "$partial" 'nvidia/cu13/lib/libcupti\.so\.13'
    mv "$partial"/nvidia/cu13/lib/* "$partial/torch/lib/"
    # The linker wants -ltorch; the real libtorch.so of the wheel pulls in CUDA.
    ln -s libtorch_cpu.so "$partial/torch/lib/libtorch.so"
    rm -rf "$home/include" "$home/lib"
    mv "$partial/torch/include" "$home/include"
    mv "$partial/torch/lib" "$home/lib"
    rm -rf "$partial"
    finish "$home/cpu.stamp" "$stamp"
}

install_cuda() {
    stamp=$(stamp_of cuda)
    is_current "$home/cuda.stamp" "$stamp" && { say "$home/cuda is up to date"; return 0; }
    find_pip
    check_space 12
    fetch_wheels cuda "2.6 GB"
    say "unpacking (about 4 GB)"
    partial="$home/cuda.partial"
    rm -rf "$partial" "$home/cuda.stamp"
    unpack torch "$partial" 'torch/lib/lib(torch_cuda|c10_cuda|torch_cuda_linalg|torch_nvshmem|caffe2_nvrtc)\.so'
    for wheel in "$download"/nvidia_*.whl; do
        name=$(basename "$wheel")
        unpack "${name%%-*}" "$partial" 'nvidia/.*\.so[.0-9]*'
    done
    rm -rf "$home/cuda"
    mv "$partial" "$home/cuda"
    finish "$home/cuda.stamp" "$stamp"
}

# The CUDA set needs the torch wheel again.
keep_wheels() { [ "${CUDA:-0}" = 1 ] && [ "$1" = "$home/cpu.stamp" ]; }

# The stamp comes last: whatever was cut short before it is done again.
finish() {
    printf '%s\n' "$2" >"$1.new"
    mv "$1.new" "$1"
    keep_wheels "$1" || rm -rf "$download"
    say "ready: ${1%.stamp}"
}

respect_existing() {
    [ -f "$LIBTORCH/lib/libtorch_cpu.so" ] || [ -f "$LIBTORCH/lib/libtorch.so" ] ||
        die "LIBTORCH is set to $LIBTORCH, but there is no lib/libtorch_cpu.so in it" "unset LIBTORCH to use the pinned one"
    say "using LIBTORCH=$LIBTORCH; nothing to fetch"
}

main() {
    if [ -n "${LIBTORCH:-}" ]; then
        respect_existing
        return 0
    fi
    check_platform
    mkdir -p "$home" || die "cannot create $home"
    exec 9>"$home/lock"
    if command -v flock >/dev/null 2>&1 && ! flock -n 9; then
        say "waiting for another fetch to finish (it holds $home/lock)"
        flock 9
    fi
    install_cpu
    [ "${CUDA:-0}" != 1 ] || install_cuda
}

main
