#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs what is missing, then calls premake, make and the program.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
    cat <<'END'
usage: ./build.sh VERB

  demo     build, then show the exchange of scripts/server_info
  test     build everything and run all tests on Linux and under Wine
           (--system linux|linux-sanitize|windows, --jobs N, part of a path)
  build    native program: build/linux/pipehost
           (build debug, build sanitize, build threads: build/linux/debug …;
           threads: with ThreadSanitizer, for serve --workers)
  windows  cross-build: build/windows/pipehost.exe (also: windows debug)
  bench    build, then measure against a plain C server and against others, on
           Linux and under Wine: build/SYSTEM/bench.json and charts, in less than
           10 minutes (--system linux|windows: that one; --help has more)
  deps     install and fetch all that the verbs above need
  clean    remove build/ (clean all: also what was fetched, and Wine's prefix)

LUA_SRC=DIR and LFS_SRC=DIR take the sources of Lua and of LuaFileSystem
from there. docs/building.md has more.
END
}

fail() {
    printf 'build.sh: %s\n' "$*" >&2
    exit 1
}

say() {
    printf '== %s\n' "$*"
}

# What each verb needs of Debian's packages

packages_build=(gcc libc6-dev make premake4 lua-argparse lua-unit)
packages_windows=(gcc-mingw-w64-x86-64 binutils-mingw-w64-x86-64)
packages_bench=(lua5.4 lua-luv lua-cqueues gnuplot-nox)
# Without the preloader, Wine's own memory lies now and then (once in thousands of
# starts) where the system's shared page must be, and the start ends in silence.
packages_test=(
    python3 wine wine64 wine64-preloader socat util-linux valgrind)

missing_packages() {
    local package status
    for package in "$@"; do
        status=$(dpkg-query -W -f='${db:Status-Status}' "$package" \
            2>/dev/null || true)
        [[ $status == installed ]] || echo "$package"
    done
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 install "$@" \
        </dev/null
}

# Without an index, or with one that is out of date, the first try fails.
install_packages() {
    local log try
    log=$(mktemp)
    for try in 1 2 3; do
        if apt_install "$@" >"$log" 2>&1; then
            rm -f "$log"
            return
        fi
        apt-get -qq update >>"$log" 2>&1 </dev/null || sleep $((try * 3))
    done
    tail -n 15 "$log" >&2
    rm -f "$log"
    fail "apt-get install $* failed"
}

need_packages() {
    local missing
    # Elsewhere than on Debian the tools are taken from PATH.
    command -v dpkg-query >/dev/null || return 0
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        fail "these packages are missing; as root, run
    apt-get install --no-install-recommends ${missing[*]}"
    fi
    say "installing ${missing[*]}"
    install_packages "${missing[@]}"
}

# shellcheck source=tools/sources.sh
. tools/sources.sh

# premake and make

lua_src='' lfs_src='' lua_compiler=''
mingw=x86_64-w64-mingw32

# Into $lua_compiler: tools/compile.c with Lua's own compiler, for this machine
# whatever is built. Its name changes with what it is made of.
make_compiler() {
    local sources=() file
    for file in "$lua_src"/l*.c; do
        case ${file##*/} in
        lua.c | luac.c | ltests.c) ;;
        *) sources+=("$file") ;;
        esac
    done
    lua_compiler=build/compile-$(cat tools/compile.c "$lua_src"/*.[ch] |
        sha256sum | cut -c 1-12)
    [[ -x $lua_compiler ]] && return
    mkdir -p build
    rm -f build/compile-*
    gcc -o "$lua_compiler.new" -I "$lua_src" tools/compile.c "${sources[@]}" -lm ||
        fail "tools/compile.c could not be built"
    mv "$lua_compiler.new" "$lua_compiler"
}

prepare() {
    mkdir -p .deps
    need_packages "${packages_build[@]}"
    # Two builds at once would fetch into the same folder.
    exec 9>.deps/lock
    flock 9
    fetch_sources
    lua_src=$(source_folder "${LUA_SRC:-$lua_folder}" lua.h)
    lfs_src=$(source_folder "${LFS_SRC:-$lfs_folder}" lfs.c)
    collect_modules "$lua_src" "$lfs_src"
    make_compiler
    exec 9>&-
}

call_premake() {
    local system=$1 premake=premake4
    if command -v premake5 >/dev/null; then
        premake=premake5
    fi
    "$premake" --file=premake5.lua --os="$system" --lua-src="$lua_src" \
        --lfs-src="$lfs_src" --lua-compiler="$lua_compiler" --modules=.deps/modules \
        --licenses=.deps/licenses gmake >build/premake.log 2>&1 || {
        grep -v '^Building\|^Running\|^Generating\|^Done' build/premake.log >&2
        exit 1
    }
}

flag_lines() {
    grep -E '^ +([A-Z_]*FLAGS|DEFINES|INCLUDES) +\+?=' "$1"
}

# Objects do not depend on the makefiles, so those of a project whose flags have
# changed go. When only its list of files has changed, it is linked anew: ar
# would keep the objects of files that are gone.
drop_stale() {
    local folder=$1 makefile old name product
    for makefile in "$folder"/*.make; do
        old=$makefile.old
        name=$(basename "$makefile" .make)
        if [[ ! -f $old ]]; then
            continue
        elif ! cmp -s <(flag_lines "$old") <(flag_lines "$makefile"); then
            rm -rf "$folder"/obj/*/"$name" "$folder/obj/$name"
        elif ! cmp -s "$old" "$makefile"; then
            product=$(sed -n 's|^ *TARGET *= \$(TARGETDIR)/||p' "$makefile" |
                head -n 1)
            find "$folder" -path "$folder/obj" -prune -o -type f \
                -name "$product" -exec rm -f {} +
        fi
    done
}

# Makefiles of premake4 call windres by that name, whatever WINDRES says, and do
# not know what a resource file reads.
prepare_resources() {
    mkdir -p "$1/bin"
    ln -sfn "$(command -v "$mingw-windres")" "$1/bin/windres"
    if [[ host/version.h -nt build/resources ||
        host/pipehost.manifest -nt build/resources ]]; then
        rm -f "$1"/obj/*/pipehost/pipehost.res
        touch build/resources
    fi
}

# make_target SYSTEM CONFIGURATION TARGET
make_target() {
    local system=$1 config=$2 target=$3 folder=build/$1 file tools=()
    mkdir -p "$folder"
    if [[ $system == windows ]]; then
        prepare_resources "$folder"
        tools=(CC="$mingw-gcc" AR="$mingw-ar" WINDRES="$mingw-windres"
            PATH="$PWD/$folder/bin:$PATH")
    fi
    (
        flock 9
        for file in "$folder"/*.make; do
            [[ ! -f $file ]] || mv "$file" "$file.old"
        done
        call_premake "$system"
        drop_stale "$folder"
        make --no-print-directory -j"$(nproc)" -C "$folder" \
            config="$config" "${tools[@]}" "$target" 9>&- |
            sed -u '/^==== Building/d; /^make: Nothing to be done/d'
    ) 9>build/lock
}

build_linux() {
    prepare
    make_target linux "$1" "${2:-pipehost}"
}

build_windows() {
    need_packages "${packages_windows[@]}"
    prepare
    make_target windows "$1" "${2:-pipehost}"
}

configuration() {
    case ${1:-release} in
    release | debug | sanitize | threads) echo "${1:-release}" ;;
    *) fail "$1: the configurations are release, debug, sanitize, threads" ;;
    esac
}

# Verbs

verb_build() {
    local config
    config=$(configuration "$@")
    build_linux "$config"
}

verb_windows() {
    local config
    config=$(configuration "$@")
    [[ $config != sanitize && $config != threads ]] || fail "mingw-w64 has no sanitizers"
    build_windows "$config"
}

verb_deps() {
    need_packages "${packages_build[@]}" "${packages_windows[@]}" \
        "${packages_test[@]}"
    prepare
}

# The systems that --system names among these arguments; into $systems.
systems=()

named_systems() {
    systems=()
    while (($#)); do
        case $1 in
        --system) systems+=("${2:-}") ;;
        --system=*) systems+=("${1#*=}") ;;
        esac
        shift
    done
}

# All programs, those of the tests too, for each of $systems.
build_systems() {
    local system
    for system in "${systems[@]}"; do
        case $system in
        linux) build_linux release all ;;
        linux-sanitize) build_linux sanitize all ;;
        windows) build_windows release all ;;
        *) fail "the systems are linux, linux-sanitize, windows" ;;
        esac
    done
}

verb_test() {
    named_systems "$@"
    ((${#systems[@]})) || systems=(linux linux-sanitize windows)
    need_packages "${packages_build[@]}" "${packages_windows[@]}" \
        "${packages_test[@]}"
    build_systems
    exec python3 tests/run.py "$@"
}

verb_bench() {
    local system
    named_systems "$@"
    need_packages "${packages_build[@]}" "${packages_test[@]}" \
        "${packages_bench[@]}"
    command -v node >/dev/null || need_packages nodejs
    if ((${#systems[@]})); then
        build_systems
        exec python3 tests/bench/bench.py "$@"
    fi
    need_packages "${packages_windows[@]}"
    systems=(linux windows)
    build_systems
    for system in "${systems[@]}"; do
        python3 tests/bench/bench.py --system "$system" \
            --json "build/$system/bench.json" \
            --charts "build/$system/charts" "$@"
    done
    say "python3 tests/bench/page.py writes docs/performance.md from it"
}

demo_folder='' demo_server=''

demo_end() {
    local i
    if [[ -n $demo_server ]]; then
        kill -TERM "$demo_server" 2>/dev/null || true
        for ((i = 0; i < 100; i++)); do
            kill -0 "$demo_server" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$demo_server" 2>/dev/null || true
        # Both, the server and what copies its output.
        wait || true
    fi
    rm -rf "$demo_folder"
}

verb_demo() {
    local status=0 result
    build_linux release
    demo_folder=$(mktemp -d)
    trap demo_end EXIT
    trap 'exit 130' INT TERM
    mkdir -m 0700 "$demo_folder/pipes"
    export PIPEHOST_DIR=$demo_folder/pipes
    mkfifo "$demo_folder/output"
    sed -u 's/^/server | /' <"$demo_folder/output" &
    build/linux/pipehost serve scripts/server_info/server.lua -v \
        >"$demo_folder/output" 2>&1 </dev/null &
    demo_server=$!
    build/linux/pipehost run scripts/server_info/client.lua 2>&1 \
        </dev/null | tee "$demo_folder/client" | sed -u 's/^/client | /' ||
        status=${PIPESTATUS[0]}
    # The result once more, after the server's own last lines.
    result=$(tail -n 1 "$demo_folder/client")
    demo_end
    demo_server=''
    printf '%s\n' "$result"
    exit "$status"
}

verb_clean() {
    rm -rf build
    case ${1:-} in
    '') ;;
    all) rm -rf .deps .wine ;;
    *) fail "clean takes nothing, or: all" ;;
    esac
}

main() {
    local verb=${1:-help}
    case $verb in
    demo | test | build | windows | deps | clean | bench)
        shift
        "verb_$verb" "$@"
        ;;
    help | -h | --help)
        usage
        ;;
    *)
        printf 'build.sh: %s: no such verb; ./build.sh prints them\n' \
            "$verb" >&2
        exit 2
        ;;
    esac
}

# Tests read this file for its functions.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    main "$@"
fi
