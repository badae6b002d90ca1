#!/usr/bin/env bash
# Everything that this machine can show about the sources: format, builds, lint, tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'TEXT'
Usage: jobs/test.sh [--quick]

Installs what is missing, checks the format, builds with and without CUDA (the former when nvcc is
there), runs all tests this machine can run, then clang-tidy, shellcheck, every fuzz target for 2 s, and the
unit and golden tests under address and undefined-behaviour sanitizers. Logs go to build/logs. Exits with 1 when anything failed.

  --quick   no clang-tidy, no fuzzing, no sanitizers, no slow tests
TEXT
}

quick=false
case "${1:-}" in
  "") ;;
  --quick) quick=true ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

logs="$PWD/build/logs"
mkdir -p "$logs"
rm -f "$logs"/*.log
jobs="$(nproc)"
failed=()
skipped=()
skip() { skipped+=("$1: $2"); }

# step NAME COMMAND...: runs it with its output in a log; one line when it passes, the end of the log
# when it fails. All steps run, so that one look shows all that is wrong.
step() {
  local name="$1" log="$logs/$1.log" begin=$SECONDS
  shift
  printf '%-18s' "$name"
  if "$@" >"$log" 2>&1; then
    printf 'ok      %4d s\n' $((SECONDS - begin))
  else
    printf 'FAILED  %4d s   %s\n' $((SECONDS - begin)) "$log"
    grep --extended-regexp 'error|Error|FAILED|\*\*\*' "$log" | head -n 20 | sed 's/^/    /' || true
    tail -n 30 "$log" | sed 's/^/    /'
    failed+=("$name")
    return 1
  fi
}

build() {  # PRESET FOLDER [cmake arguments] -- TARGETS
  local preset="$1" folder="$2" options=()
  shift 2
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  shift
  cmake --preset "$preset" -B "$folder" "${options[@]}" &&
    cmake --build "$folder" --parallel "$jobs" --target "$@"
}

check_format() {  # CLANG_FORMAT: names the files it would change
  local files
  files="$(git ls-files --cached --others --exclude-standard '*.h' '*.cpp' '*.cu' '*.cuh' |
    xargs "$1" --dry-run 2>&1 | sed --quiet 's/^\([^: ]*\):[0-9]*:.*/\1/p' | sort --unique)"
  [ -z "$files" ] && return 0
  echo "not formatted; mend with: $1 -i" "$files"
  return 1
}

check_tidy() {
  # Most of the time goes into headers: sources are read a dozen at a time, each header once for them.
  # The compilation database holds GCC's flags; clang need not know every warning of GCC.
  cmake --preset cpu -B build/tidy -DWEFT_TESTS=OFF -DWEFT_BENCH=OFF \
    -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=12 &&
    run-clang-tidy-16 -clang-tidy-binary clang-tidy-16 -p build/tidy -quiet -j "$jobs" \
      -checks=-bugprone-suspicious-include -extra-arg=-Wno-unknown-warning-option -extra-arg=-Wno-shadow '/Unity/' 2>&1 |
    sed '/^clang-tidy-16 \|warnings.* generated\|^$/d'
}

ctest_in() {  # BUILD_FOLDER ARGUMENTS...
  local folder="$1"
  shift
  ctest --test-dir "$folder" -j2 --output-on-failure "$@"
}

# shellcheck source=jobs/env.sh
. jobs/env.sh

jobs/install-deps.sh --build
if ! jobs/install-deps.sh; then
  echo "(going on without the tools that could not be installed)"
fi

if command -v clang-format-14 >/dev/null; then
  step format check_format clang-format-14 || true
else
  skip format "clang-format-14 is not installed; other versions format differently"
fi

if ! step build-cpu build cpu build/cpu -- all; then
  echo "Nothing else can be shown until the program builds."
  exit 1
fi

gpus="$(nvidia-smi --list-gpus 2>/dev/null || true)"
if ! command -v nvcc >/dev/null; then
  skip build-gpu "nvcc is not on PATH"
elif [[ "$gpus" != *GPU* ]]; then
  # Compiled only. A folder of its own, because WEFT_NATIVE, which lets ccache hand over what build-cpu
  # compiled, is not for a program that may be carried to another machine.
  step build-gpu build gpu build/gpu-check -DWEFT_NATIVE=ON -DWEFT_TESTS=OFF -DWEFT_BENCH=OFF \
    -- weft weft_kernels || true
  skip "tests on CUDA" "this machine has no GPU"
elif step build-gpu build gpu build/gpu -- all; then
  step tests-gpu ctest_in build/gpu --label-regex '^(unit|golden|gpu)$' || true
fi

without=(gpu)
if ! command -v sbatch >/dev/null; then
  without+=(slurm)
  skip "tests labelled slurm" "Slurm is not installed"
fi
if $quick; then
  without+=(slow)
  skip "tests labelled slow" "--quick"
fi
exclude=()
if [ "${#without[@]}" -gt 0 ]; then
  exclude=(--label-exclude "^($(IFS='|'; echo "${without[*]}"))\$")
fi
step tests ctest_in build/cpu "${exclude[@]}" || true
# Tests that skipped themselves, counted by the reason they gave.
while read -r line; do
  skipped+=("$line")
done < <(awk '/^[0-9]+\/[0-9]+ Test: / { name = $3 }
              reason { tests[$0]++; first[$0] = name; reason = 0 }
              /: Skipped$/ { reason = 1 }
              END { for (r in tests) print tests[r] " x " first[r] (tests[r] > 1 ? " and others: " : ": ") r }
             ' build/cpu/Testing/Temporary/LastTest.log | sort)

if $quick; then
  skip clang-tidy "--quick"
  skip sanitizers "--quick"
else
  if command -v run-clang-tidy-16 >/dev/null; then
    step clang-tidy check_tidy || true
  else
    skip clang-tidy "clang-tidy-16 is not installed"
  fi
  if command -v shellcheck >/dev/null; then
    step shellcheck shellcheck -x jobs/*.sh jobs/*.sbatch tests/*/*.sh tools/*/*.sh bench/*/*.sh || true
  else
    skip shellcheck "shellcheck is not installed"
  fi
  if command -v clang++-16 >/dev/null; then
    step fuzz tests/fuzz/run.sh 2 || true
  else
    skip fuzz "clang-16 is not installed"
  fi
  if step build-debug build debug build/debug -- weft weft_unit_and_golden_tests; then
    # MPI, OpenMP and FFmpeg keep memory until the process ends: leaks are not ours to judge there.
    export ASAN_OPTIONS="detect_leaks=0:strict_string_checks=1" UBSAN_OPTIONS="print_stacktrace=1"
    step tests-sanitized ctest_in build/debug --label-regex '^(unit|golden)$' "${exclude[@]}" || true
  fi
fi

if [ "${#skipped[@]}" -gt 0 ]; then
  echo
  echo "Not shown here:"
  printf '  %s\n' "${skipped[@]}"
fi
echo
echo "ctest in build/cpu, after $((SECONDS / 60)) min $((SECONDS % 60)) s in all:"
sed --quiet '/tests passed/,/^Total Test time/p; /^The following tests FAILED/,$p' "$logs/tests.log" |
  grep --invert-match '^$' || true
if [ "${#failed[@]}" -gt 0 ]; then
  echo "FAILED: ${failed[*]}"
  exit 1
fi
