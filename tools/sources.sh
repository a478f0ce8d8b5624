# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What is compiled in and embedded but not in the repository: read by build.sh,
# which has fail and say. Everything goes to .deps/.

# Lua and LuaFileSystem, from Debian's source packages

lua_package=lua5.4=5.4.7-1
lua_archive=lua5.4_5.4.7.orig.tar.gz
lua_sum=9fbf5e28ef86c69858f6d3d34eccc32e911c1a28b4120ff3e84aaa70cfbf1e30
lfs_package=lua-filesystem
lfs_archive=lua-filesystem_1.8.0.orig.tar.gz
lfs_sum=a1b7cf748ef2cdb6d75ebaa82a9c91b383fabc541b96febb1f9de98f06b8c188
source_suite=trixie

lua_folder=.deps/lua-5.4.7-${lua_sum:0:12}
lfs_folder=.deps/lfs-1.8.0-${lfs_sum:0:12}

# One line for each of the machine's own entries for Debian: the deb-src line
# to use. Reads both forms, *.list and *.sources.
debian_entries() {
    local SOURCELIST='' SOURCEPARTS='' file
    eval "$(apt-config shell SOURCELIST Dir::Etc::sourcelist/f \
        SOURCEPARTS Dir::Etc::sourceparts/d)"
    for file in "$SOURCELIST" "$SOURCEPARTS"/*.list; do
        [[ -f $file ]] && one_line_entries "$file"
    done
    for file in "$SOURCEPARTS"/*.sources; do
        [[ -f $file ]] && stanza_entries "$file"
    done
    return 0
}

# Fields of an entry: signed-by, URI, suites, components. What is Debian's own
# archive shows in the path: .../debian or a snapshot of it.
entry_filter='
function entry(signed, uri, suites, parts) {
    if (uri !~ /^[a-z+]+:.*\/debian(\/|$)/ || uri ~ /^cdrom:/) return
    if ((" " parts " ") !~ / main /) return
    if (suites ~ /^[^ ]*(-security|\/updates)/) return
    if (signed !~ /^\//) signed = ""
    printf "deb-src %s%s %s main\n",
        (signed == "" ? "" : "[signed-by=" signed "] "), uri, suite
}'

one_line_entries() {
    awk -v suite="$source_suite" "$entry_filter"'
        $1 == "deb" || $1 == "deb-src" {
            sub(/#.*/, "")
            options = ""
            if (match($0, /\[[^]]*\]/)) {
                options = substr($0, RSTART + 1, RLENGTH - 2)
                $0 = substr($0, 1, RSTART - 1) substr($0, RSTART + RLENGTH)
            }
            signed = ""
            count = split(options, list, " ")
            for (i = 1; i <= count; i++)
                if (sub(/^signed-by=/, "", list[i])) signed = list[i]
            parts = ""
            for (i = 4; i <= NF; i++) parts = parts " " $i
            entry(signed, $2, $3, parts)
        }' "$1"
}

stanza_entries() {
    awk -v suite="$source_suite" "$entry_filter"'
        function finish(    count, i, list) {
            if (field["types"] != "" && field["enabled"] != "no") {
                count = split(field["uris"], list, " ")
                for (i = 1; i <= count; i++)
                    entry(field["signed-by"], list[i], field["suites"],
                        field["components"])
            }
            split("", field)
        }
        /^#/ { next }
        /^[ \t]*$/ { finish(); next }
        /^[^ \t]/ {
            name = tolower(substr($0, 1, index($0, ":") - 1))
            sub(/^[^:]*:[ \t]*/, "")
            field[name] = $0
            next
        }
        { sub(/^[ \t]+/, ""); field[name] = field[name] " " $0 }
        END { finish() }' "$1"
}

# Into the current folder, with an apt state of its own: /etc/apt and the
# machine's package lists stay as they are, and root is not needed.
apt_source() {
    local entry=$1 state
    shift
    state=$PWD/apt
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
    echo "$entry" >"$state/sources.list"
    local options=(-q
        -o "Dir::State::lists=$state/lists"
        -o "Dir::Cache=$state/cache"
        -o "Dir::Etc::sourcelist=$state/sources.list"
        -o "Dir::Etc::sourceparts=-"
        -o "APT::Sandbox::User=$(id -un)"
        -o Acquire::Languages=none
        -o Acquire::Retries=2
        -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30)
    apt-get "${options[@]}" update &&
        apt-get "${options[@]}" source --tar-only "$@"
}

sum_is() {
    [[ -f $1 && $(sha256sum "$1") == "$2 "* ]]
}

# download ARCHIVE SUM PACKAGE: leaves .deps/ARCHIVE, with that checksum.
download() {
    local archive=$1 sum=$2 package=$3 entries entry try work
    sum_is ".deps/$archive" "$sum" && return
    command -v apt-get >/dev/null ||
        fail "$archive can be fetched on Debian only: set LUA_SRC and LFS_SRC"
    mapfile -t entries < <(debian_entries | awk '!seen[$0]++')
    ((${#entries[@]})) || fail "$package cannot be fetched: no entry \
for Debian among apt's sources; set LUA_SRC and LFS_SRC"
    say "fetching the source $package"
    work=$PWD/.deps/fetch
    mkdir -p "$work"
    for try in 1 2 3; do
        for entry in "${entries[@]:0:3}"; do
            (cd "$work" && apt_source "$entry" "$package") \
                >"$work/log" 2>&1 </dev/null || continue
            sum_is "$work/$archive" "$sum" ||
                fail "$archive has not the expected sha256 $sum"
            mv "$work/$archive" ".deps/$archive"
            return
        done
        sleep $((try * 2))
    done
    grep -E '^(E|W|Err)' "$work/log" | tail -n 5 >&2 || true
    fail "the source $package could not be fetched (3 tries); \
.deps/fetch/log has it all. Or set LUA_SRC and LFS_SRC"
}

# unpack ARCHIVE FOLDER: its src/*.[ch] and LICENSE, complete or not at all.
unpack() {
    local new=$2.new
    rm -rf "$new"
    mkdir -p "$new/all"
    tar -xzf "$1" -C "$new/all" --strip-components=1
    cp "$new"/all/src/*.[ch] "$new/"
    [[ ! -f $new/all/LICENSE ]] || cp "$new/all/LICENSE" "$new/"
    rm -rf "$new/all"
}

# 5.4.7 compiles upvalue[a < b] wrongly. premake5.lua refuses a Lua without
# this correction.
correct_lua() {
    local old='  if (hasjumps(e))' new='  if (e->k == VJMP || hasjumps(e))'
    sed -i "/^void luaK_exp2val /,/^}/s/^$old\$/$new/" "$1"
    sed -n '/^void luaK_exp2val /,/^}/p' "$1" | grep -qxF "$new" ||
        fail "lcode.c: the line of luaK_exp2val that is to be corrected \
is not there"
}

fetch_sources() {
    if [[ -z ${LUA_SRC:-} && ! -d $lua_folder ]]; then
        download "$lua_archive" "$lua_sum" "$lua_package"
        unpack ".deps/$lua_archive" "$lua_folder"
        correct_lua "$lua_folder.new/lcode.c"
        mv "$lua_folder.new" "$lua_folder"
    fi
    if [[ -z ${LFS_SRC:-} && ! -d $lfs_folder ]]; then
        download "$lfs_archive" "$lfs_sum" "$lfs_package"
        unpack ".deps/$lfs_archive" "$lfs_folder"
        mv "$lfs_folder.new" "$lfs_folder"
    fi
    rm -rf .deps/fetch
}

# A folder of sources as users name it: its top, or its src.
source_folder() {
    local folder=$1 file=$2
    if [[ -f $folder/$file ]]; then
        (cd "$folder" && pwd)
    elif [[ -f $folder/src/$file ]]; then
        (cd "$folder/src" && pwd)
    else
        fail "$folder: there is no $file, nor src/$file"
    fi
}

# argparse, luaunit and the licences

put() {
    if ! cmp -s - "$1" <<<"$2"; then
        printf '%s\n' "$2" >"$1"
    fi
}

lua_module() {
    local version file
    for version in 5.4 5.3 5.2 5.1; do
        file=/usr/share/lua/$version/$1
        if [[ -f $file ]]; then
            cmp -s "$file" ".deps/modules/$1" || cp -L "$file" .deps/modules/
            return
        fi
    done
    fail "/usr/share/lua/5.*/$1 is not there: reinstall $2"
}

# The author's part of /usr/share/doc/PACKAGE/copyright: what is said of
# "Files: *", and the text of that licence.
package_license() {
    local text
    text=$(awk -v RS= -v ORS='\n\n' '
        /^Files: \*/ {
            print
            match($0, /\nLicense: [^\n]*/)
            name = substr($0, RSTART + 10, RLENGTH - 10)
        }
        /^License: / && index($0 "\n", "License: " name "\n") == 1
        ' "/usr/share/doc/$1/copyright" | sed 's/^  *\.$//; s/^ //')
    [[ -n $text ]] || fail "/usr/share/doc/$1/copyright has no licence text"
    put ".deps/licenses/$2.txt" "$text"
}

collect_modules() {
    local lua=$1 lfs=$2 text license
    mkdir -p .deps/modules .deps/licenses
    lua_module argparse.lua lua-argparse
    lua_module luaunit.lua lua-unit
    package_license lua-argparse argparse
    package_license lua-unit luaunit
    # lua.h ends in Lua's licence.
    text=$(sed -n '/^\* Copyright (C)/,/^\*\*\*\*/p' "$lua/lua.h" |
        sed '$d; s/^\* \{0,1\}//')
    [[ -n $text ]] || fail "$lua/lua.h has no licence text"
    put .deps/licenses/lua.txt "$text"
    for license in "$lfs/LICENSE" "$lfs/../LICENSE"; do
        if [[ -f $license ]]; then
            put .deps/licenses/luafilesystem.txt "$(cat "$license")"
            return
        fi
    done
    fail "$lfs: there is no LICENSE in it or above it"
}
