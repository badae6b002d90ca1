#!/usr/bin/env bash
# Builds the fuzz targets and lets each run on its seeds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

usage() {
  cat <<'TEXT'
Usage: tests/fuzz/run.sh SECONDS_EACH [NAME...]

Builds with clang-16 into build/fuzz what is not up to date, then runs each target (all, or those
named: "image" for image_fuzzer) for that long. One line each: executions, new units, findings. What
was found stays under build/fuzz/findings, what covers something new under build/fuzz/corpus. Exits
with 1 when there is a finding. For long runs: OPTIMIZE=-O1 takes longer to build and runs faster;
JOBS=4 builds with four processes. BUILT=FOLDER runs the targets that lie there (a copy, beside other
work) and builds nothing.
TEXT
}

case "${1:-}" in
  "" | *[!0-9]*) usage >&2; exit 2 ;;
esac
seconds="$1"
shift
here=tests/fuzz
build="${BUILT:-build/fuzz}"

build_targets() {
  cmake -S "$here" -B "$build" -G Ninja -DCMAKE_CXX_COMPILER="${CXX:-clang++-16}" \
    -DWEFT_FUZZ_OPTIMIZE="${OPTIMIZE:--O0}" &&
    cmake --build "$build" --target weft_fuzzers --parallel "${JOBS:-$(nproc)}"
}
if [ -z "${BUILT:-}" ] && ! build_targets >"$build.log" 2>&1; then
  tail -n 30 "$build.log"
  echo "The fuzz targets do not build: $build.log"
  exit 1
fi

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for source in "$here"/*_fuzzer.cpp; do
    names+=("$(basename "$source" _fuzzer.cpp)")
  done
fi

findings=0
for name in "${names[@]}"; do
  corpus="$build/corpus/$name"
  found="$build/findings/$name-"
  log="$build/$name.log"
  mkdir -p "$corpus" "$build/findings" "$here/seeds/$name"
  options=(-max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1
    -artifact_prefix="$found")
  [ -f "$here/$name.dict" ] && options+=(-dict="$here/$name.dict")
  [ -f "$here/$name.options" ] && mapfile -t -O "${#options[@]}" options <"$here/$name.options"
  status=0
  "$build/${name}_fuzzer" "${options[@]}" "$corpus" "$here/seeds/$name" >"$log" 2>&1 || status=$?
  stat_of() { sed --quiet "s/^stat::$1: *//p" "$log" | tail -n 1; }
  result="no finding"
  if [ "$status" -ne 0 ]; then
    findings=$((findings + 1))
    result="FINDING: $(grep --max-count=1 --extended-regexp 'ERROR|runtime error|terminate' "$log" |
      cut --characters=1-120 || true) (see $log)"
  fi
  printf '%-16s %10s executions %6s new units  %s\n' "$name" \
    "$(stat_of number_of_executed_units)" "$(stat_of new_units_added)" "$result"
done
[ "$findings" -eq 0 ]
