#!/usr/bin/env bash
# Makes a Python environment with the real clients that the tests use (OpenTelemetry SDK, DuckDB), in a cache outside
# the tree, and prints the path of its interpreter as the only line on standard output.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

command -v python3 >/dev/null || {
    say "python: python3 is not installed; type: apt-get install python3 python3-venv"
    exit 1
}

here=$(cd "$(dirname "$0")/.." && pwd)
cache=${TEMPO_RS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tempo-rs}
requirements=$here/python/requirements.txt
stamp=$({ python3 --version; cat "$requirements"; } | sha256sum | cut -c1-16)
venv=$cache/python-$stamp

if [ ! -e "$venv/.done" ]; then
    say "python: installing $(grep -cv '^#' "$requirements") packages by name into $venv"
    rm -rf "$venv"
    python3 -m venv "$venv" >&2 || {
        say "python: the venv module is missing; type: apt-get install python3-venv"
        exit 1
    }
    "$venv/bin/pip" install --quiet --requirement "$requirements" >&2
    touch "$venv/.done"
fi
echo "$venv/bin/python"
