#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that weft needs; touches nothing when all are there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'TEXT'
Usage: jobs/install-deps.sh [--build]

Installs with apt what is missing to build, run and test weft (Debian 12, Ubuntu 24.04). Without the
right to do so it prints the command to run and exits with 1.

  --build   only what building and running needs, not the tools of jobs/test.sh
TEXT
}

build_packages=(
  build-essential cmake ninja-build ccache pkg-config
  libopenmpi-dev openmpi-bin            # MPI
  libavcodec-dev libavformat-dev libavutil-dev libswscale-dev  # video files
  libhdf5-dev libsentencepiece-dev libutf8proc-dev
  libcli11-dev libcsv-dev nlohmann-json3-dev libtoml11-dev libspdlog-dev libfmt-dev
  libgtest-dev libbenchmark-dev
)
test_packages=(
  ffmpeg hdf5-tools python3-h5py        # read back what weft writes
  libopencv-video-dev                   # optional: optical flow, for the figure of temporal consistency
  clang-format-14                       # the version the sources are formatted with
  clang-tidy-16                         # 14 and 15 lack std::source_location
  clang-16 libfuzzer-16-dev libclang-rt-16-dev  # fuzzing
  slurm-wlm munge iproute2              # a real Slurm, for the job scripts
  shellcheck
)

if command -v nvcc >/dev/null && ! python3 -m pip --version >/dev/null 2>&1; then
  build_packages+=(python3-pip)  # unpacks cudnn-frontend, below
fi

packages=("${build_packages[@]}" "${test_packages[@]}")
case "${1:-}" in
  "") ;;
  --build) packages=("${build_packages[@]}") ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

# The C++ frontend of cuDNN comes inside a Python package, the same headers for every platform; they
# are unpacked for the build, nothing is installed. Only a build with CUDA wants them.
frontend_version=1.32.0
frontend=build/deps/cudnn-frontend
unpack_cudnn_frontend() {
  command -v nvcc >/dev/null || return 0
  [ ! -f "$frontend/include/cudnn_frontend.h" ] || return 0
  echo "install-deps: unpacking cudnn-frontend $frontend_version into $frontend"
  local wheels
  wheels="$(mktemp -d)"
  if python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --python-version 312 --implementation cp --abi cp312 --platform manylinux_2_28_x86_64 \
    --dest "$wheels" "nvidia-cudnn-frontend==$frontend_version" >&2; then
    python3 -m zipfile --extract "$wheels"/*.whl "$wheels/unpacked"
    mkdir -p "$frontend"
    mv "$wheels/unpacked/include" "$frontend/include"
  else
    echo "install-deps: cudnn-frontend could not be fetched: the CUDA backend cannot be built until" \
      "CUDNN_FRONTEND_PATH names a folder with its headers" >&2
  fi
  rm -rf "$wheels"
}
if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "install-deps: this system has no apt; install the equivalents of: ${packages[*]}" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  status="$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)"
  [ "$status" = installed ] || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then
  unpack_cudnn_frontend
  exit 0
fi

if [ "$(id -u)" -eq 0 ]; then
  as_root=()
elif command -v sudo >/dev/null && sudo --non-interactive true 2>/dev/null; then
  as_root=(sudo --non-interactive)
else
  echo "install-deps: packages are missing and only root can install them. Run:" >&2
  echo "  sudo apt-get update && sudo apt-get install --yes --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

mkdir -p build
log="build/install-deps.log"
fail() {
  tail -n 30 "$log" >&2
  echo "install-deps: $1 (the whole log: $log)" >&2
  exit 1
}

echo "install-deps: installing ${missing[*]}"
"${as_root[@]}" apt-get update >"$log" 2>&1 || fail "apt-get update failed: is there a network?"

available=()
absent=()
for package in "${missing[@]}"; do
  # A release that lacks the package has no candidate version for it. (Not piped: grep would end
  # first, and pipefail would take apt-cache's broken pipe for an answer.)
  policy="$(LC_ALL=C apt-cache policy "$package")"
  if grep --quiet 'Candidate: [^(]' <<<"$policy"; then
    available+=("$package")
  else
    absent+=("$package")
  fi
done
if [ "${#available[@]}" -gt 0 ]; then
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --no-install-recommends "${available[@]}" >>"$log" 2>&1 ||
    fail "apt-get install failed"
fi
if [ "${#absent[@]}" -gt 0 ]; then
  . /etc/os-release
  echo "install-deps: not among the packages of ${PRETTY_NAME:-this release}: ${absent[*]}" >&2
  echo "install-deps: on Ubuntu the 'universe' component holds them (add-apt-repository universe);" \
    "Debian 12 and Ubuntu 24.04 are known to have all" >&2
  exit 1
fi
unpack_cudnn_frontend
