#!/usr/bin/env bash
# Builds the real programs that the tests run against from their Go modules, by name, into a cache outside the tree,
# and links them into one folder, whose path is the only line on standard output.
#
#   e2e/tools/build.sh [TOOL ...]      TOOL: kubernetes etcd minio telemetrygen (all when none is named)
#
# The cache is $TEMPO_RS_CACHE, or $XDG_CACHE_HOME/tempo-rs, or ~/.cache/tempo-rs. A tool is built again only when
# its go.mod or go.sum changed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${TEMPO_RS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tempo-rs}
bin=$cache/bin
kubernetes_version=v1.36.3

say() { printf '%s\n' "$*" >&2; }

go_wanted=1.26
go_found=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null || true)
go_found=${go_found#go}
if [ "$(printf '%s\n' "$go_wanted" "${go_found:-0}" | sort -V | head -n 1)" != "$go_wanted" ]; then
    say "tools: the tests against a real API server and MinIO need Go $go_wanted or newer; found: ${go_found:-none}"
    say 'tools: type: curl -fL https://go.dev/dl/go1.26.8.linux-amd64.tar.gz | tar -C /usr/local -xz && export PATH=/usr/local/go/bin:$PATH'
    exit 1
fi

# The name that a module's tool package has once built, where it is not the one we call it by.
link_name() {
    case $1 in
        etcd/server) echo etcd ;;
        *) echo "${1#*/}" ;;
    esac
}

build() {
    local tool=$1
    local stamp target version_package flags
    stamp=$(cat "$here/$tool/go.mod" "$here/$tool/go.sum" | sha256sum | cut -c1-16)
    target=$cache/tools/$tool-$stamp
    if [ ! -e "$target/.done" ]; then
        say "tools: building $tool (a few minutes the first time; kept in $target)"
        mkdir -p "$target"
        flags='-s -w'
        if [ "$tool" = kubernetes ]; then
            for version_package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
                flags+=" -X $version_package.gitVersion=$kubernetes_version -X $version_package.gitMajor=1 -X $version_package.gitMinor=36"
            done
        fi
        (cd "$here/$tool" && GOTOOLCHAIN=local GOFLAGS=-mod=readonly go build -trimpath -ldflags "$flags" -o "$target/" tool >&2)
        touch "$target/.done"
    fi
    for file in "$target"/*; do
        ln -sfn "$file" "$bin/$(link_name "$tool/$(basename "$file")")"
    done
}

mkdir -p "$bin"
[ $# -gt 0 ] || set -- etcd telemetrygen minio kubernetes
for tool in "$@"; do
    [ -f "$here/$tool/go.mod" ] || { say "tools: there is no tool '$tool'"; exit 1; }
    build "$tool"
done
echo "$bin"
