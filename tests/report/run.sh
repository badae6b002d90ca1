#!/usr/bin/env bash
# Opens the page of a report in headless Chromium.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: tests/report/run.sh WEFT [KEEP]

Renders a small clip on 1 and 2 ranks, makes a report of the records, and opens it in headless Chromium: no message in
the console (the page forbids itself every request, so one that is tried is a message), a screenshot that is not blank in
light and dark, and a PDF. First the same checks must find fault with a page that is broken on purpose. Screenshots and
PDF are kept in the folder KEEP when it is named. Exits with 77 where Chromium or ffmpeg is missing.
TEXT
}
case "${1:-}" in
  "" | -h | --help) usage; exit 2 ;;
esac
weft="$(realpath "$1")"
keep="${2:-}"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
for program in chromium ffmpeg; do
  if ! command -v "$program" >/dev/null; then
    echo "skipped: $program is not installed (Debian: apt-get install $program)"
    exit 77
  fi
done
# shellcheck source=jobs/env.sh
. jobs/env.sh
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
fail() { echo "failed: $*" >&2; exit 1; }

browser() {  # arguments...: what it says goes to $work/log
  timeout 120 chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --disable-extensions \
    --hide-scrollbars --user-data-dir="$work/profile" --enable-logging=stderr "$@" >"$work/log" 2>&1 ||
    { tail "$work/log" >&2; fail "chromium exited with an error"; }
}

console_of() { grep -F 'CONSOLE' "$work/log" || true; }  # messages of the last page

# Distinct grey levels of a picture, made small so that noise does not count.
levels_of() {
  ffmpeg -v error -i "$1" -vf scale=160:-1 -frames:v 1 -f rawvideo -pix_fmt gray - | od -An -v -tu1 -w1 | sort -u | wc -l
}
mean_of() {  # grey level, 0 to 255
  ffmpeg -v error -i "$1" -vf scale=1:1 -frames:v 1 -f rawvideo -pix_fmt gray - | od -An -v -tu1 | tr -d ' '
}

for ranks in 1 2; do
  mpirun -n "$ranks" "$weft" render --model models/weft-mini --prompt "a <kite> & \"the sea\", 红色的风筝" --steps 4 \
    --width 192 --threads 1 --quiet -o "$work/n$ranks.mp4" >"$work/log" 2>&1 || { tail "$work/log" >&2; fail "the render"; }
done
"$weft" report "$work" -o "$work/report.html" --svg "$work/svg" >"$work/log" 2>&1 || { tail "$work/log" >&2; fail "weft report"; }

# A check that finds nothing wrong anywhere would be worth nothing.
sed 's#<main>#<main><img src="http://127.0.0.1:9/picture.png"/>#' "$work/report.html" >"$work/broken.html"
browser --screenshot="$work/broken.png" "file://$work/broken.html"
[ -n "$(console_of)" ] || fail "a page with a picture from the network was not found out"
echo '<!DOCTYPE html><title>blank</title>' >"$work/blank.html"
browser --screenshot="$work/blank.png" "file://$work/blank.html"
[ "$(levels_of "$work/blank.png")" -lt 10 ] || fail "a blank page was not found out"

browser --window-size=1000,6000 --screenshot="$work/light.png" "file://$work/report.html"
[ -z "$(console_of)" ] || fail "the page says: $(console_of)"
browser --window-size=1000,6000 --blink-settings=preferredColorScheme=0 --screenshot="$work/dark.png" "file://$work/report.html"
[ -z "$(console_of)" ] || fail "the page says, dark: $(console_of)"
for look in light dark; do
  [ "$(levels_of "$work/$look.png")" -gt 40 ] || fail "the $look page is blank or nearly so"
done
[ "$(mean_of "$work/light.png")" -gt 180 ] || fail "the light page is not light"
[ "$(mean_of "$work/dark.png")" -lt 90 ] || fail "the dark page is not dark"
browser --no-pdf-header-footer --print-to-pdf="$work/report.pdf" "file://$work/report.html"
[ "$(head -c 5 "$work/report.pdf")" = "%PDF-" ] || fail "no PDF"
[ "$(stat -c %s "$work/report.pdf")" -gt 30000 ] || fail "the PDF holds next to nothing"
browser --window-size=800,480 --screenshot="$work/speedup.png" "file://$work/svg/speedup.svg"
[ "$(levels_of "$work/speedup.png")" -gt 10 ] || fail "the drawing by itself is blank"
if [ -n "$keep" ]; then
  mkdir -p "$keep"
  cp "$work"/report.{html,pdf} "$work"/{light,dark,speedup}.png "$keep"
fi
echo "the page opens without a message, light, dark and as PDF"
