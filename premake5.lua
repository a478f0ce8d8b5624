-- SPDX-License-Identifier: MIT
-- The one description of the build, for premake5 and for premake4 4.3.
-- docs/building.md says how it is used; build.sh calls it.

newoption {
    trigger = "lua-src",
    value = "DIR",
    description = "Folder of the sources of Lua 5.4 (5.4.7 or later, corrected)",
}
newoption {
    trigger = "lfs-src",
    value = "DIR",
    description = "Folder of lfs.c (LuaFileSystem 1.8)",
}
newoption {
    trigger = "lua-compiler",
    value = "FILE",
    description = "Program of tools/compile.c, to embed bytecode; else text is embedded",
}
newoption {
    trigger = "modules",
    value = "DIR",
    description = "Folder of argparse.lua and luaunit.lua",
}
newoption {
    trigger = "licenses",
    value = "DIR",
    description = "Folder of the licences of what is linked in, as *.txt",
}

-- premake4 --os=windows leaves _OS at the system it runs on.
local target = _OPTIONS.os or _TARGET_OS or _OS
local windows = target == "windows"
local gmake = _ACTION and _ACTION:match "^gmake" ~= nil
local visual_studio = _ACTION and _ACTION:match "^vs" ~= nil
local generating = gmake or visual_studio

local function stop(message, ...)
    io.stderr:write("premake5.lua: ", message:format(...), "\n")
    os.exit(1)
end

local function read(name)
    local file = io.open(name, "rb")
    if not file then
        return nil
    end
    local text = file:read "*a"
    file:close()
    return text
end

local function option_folder(option, file)
    local folder = _OPTIONS[option]
    if not folder then
        stop("--%s=DIR is missing (build.sh gives it; see docs/building.md)", option)
    end
    folder = path.getabsolute(folder)
    if file and not read(folder .. "/" .. file) then
        stop("--%s=%s: there is no %s in that folder", option, folder, file)
    end
    return folder
end

-- Lua: the version, and the one line that 5.4.7 has wrong

local function check_lua(folder)
    local header = read(folder .. "/lua.h")
    local number = tonumber(header:match "#define%s+LUA_VERSION_NUM%s+(%d+)")
    local release = tonumber(
        header:match '#define%s+LUA_VERSION_RELEASE%s+"(%d+)"'
            or header:match "#define%s+LUA_VERSION_RELEASE_NUM%s+%(LUA_VERSION_NUM %* 100 %+ (%d+)%)"
    )
    if number ~= 504 or not release or release < 7 then
        stop(
            "%s: this is Lua %s.%s; pipehost needs 5.4.7 or a later 5.4 (5.4.4 crashes in concatenations, "
                .. "leaves <close> variables open on break)",
            folder,
            number and ("%d.%d"):format(math.floor(number / 100), number % 100) or "?",
            release or "?"
        )
    end
    local code = (read(folder .. "/lcode.c") or ""):gsub("\r", "")
    local exp2val = code:match "\nvoid luaK_exp2val [^\n]*\n(.-)\n}"
    if not (exp2val and exp2val:find("if (e->k == VJMP || hasjumps(e))", 1, true)) then
        stop(
            "%s/lcode.c: this Lua compiles upvalue[a < b] wrongly; in luaK_exp2val change\n"
                .. "    if (hasjumps(e))\nto\n    if (e->k == VJMP || hasjumps(e))\n(5.4.8 has it)",
            folder
        )
    end
end

-- embedded.c: the Lua library, argparse, luaunit and the licences

local function relative_names(folder, pattern, prefix, into)
    for _, file in ipairs(os.matchfiles(folder .. "/" .. pattern)) do
        file = path.getabsolute(file)
        table.insert(into, {
            name = prefix .. file:sub(#folder + 2):gsub("\\", "/"),
            file = file,
        })
    end
end

-- Files that only their text is wanted of.
local text_only = { "^licenses/", "^pipehost/meta/", "^pipehost/template/" }

-- What is loaded goes in compiled: most of a start would be lexing else.
local function embedded_data(entry)
    local compiler = _OPTIONS["lua-compiler"]
    for _, pattern in ipairs(text_only) do
        if entry.name:match(pattern) then
            compiler = nil
        end
    end
    if not compiler then
        return read(entry.file) or stop("%s cannot be read", entry.file)
    end
    local pipe = io.popen(('"%s" "%s" "%s"'):format(path.getabsolute(compiler), entry.name, entry.file))
    local data = pipe:read "*a"
    pipe:close()
    if data == "" then
        stop("%s was not compiled", entry.file)
    end
    return data
end

local decimal = {}
for byte = 0, 255 do
    decimal[string.char(byte)] = byte .. ","
end

local function c_bytes(text)
    local lines = {}
    for from = 1, #text, 24 do
        lines[#lines + 1] = text:sub(from, from + 23):gsub(".", decimal)
    end
    -- The closing zero is not counted: an empty array would not be C.
    lines[#lines + 1] = "0"
    return table.concat(lines, "\n")
end

local function embedded_source(entries)
    local arrays, rows = {}, {}
    for i, entry in ipairs(entries) do
        local data = embedded_data(entry)
        arrays[i] = ("static const unsigned char data_%d[] = {\n%s};\n"):format(i, c_bytes(data))
        rows[i] = ('    {"%s", data_%d, %d},\n'):format(entry.name, i, #data)
    end
    return '/* Written by premake5.lua. */\n#include "embedded.h"\n\n'
        .. table.concat(arrays)
        .. "\nconst struct ph_embedded ph_embedded[] = {\n"
        .. table.concat(rows)
        .. "};\n\nconst size_t ph_embedded_count =\n"
        .. "    sizeof ph_embedded / sizeof ph_embedded[0];\n"
end

-- Written here and not in a prebuild command: under make -j that one may run
-- after the old text has been compiled.
local function write_embedded(name, modules, licenses)
    local root = path.getabsolute "."
    local entries = {
        { name = "argparse.lua", file = modules .. "/argparse.lua" },
        { name = "luaunit.lua", file = modules .. "/luaunit.lua" },
        { name = "licenses/pipehost.txt", file = root .. "/LICENSE" },
    }
    relative_names(root .. "/scripts", "pipehost/**.lua", "", entries)
    relative_names(licenses, "*.txt", "licenses/", entries)
    table.sort(entries, function(a, b)
        return a.name < b.name
    end)
    local text = embedded_source(entries)
    if read(name) == text then
        return
    end
    os.mkdir(path.getdirectory(name))
    local file = io.open(name, "wb") or stop("%s cannot be written", name)
    file:write(text)
    file:close()
end

local lua_src, lfs_src
if generating then
    lua_src = option_folder("lua-src", "lua.h")
    lfs_src = option_folder("lfs-src", "lfs.c")
    local modules = option_folder("modules", "argparse.lua")
    check_lua(lua_src)
    write_embedded("build/embedded.c", modules, option_folder "licenses")
end

-- Sources

-- A file for one system only says so at the end of its name: x_linux.c,
-- x_win32.c, and x_linux_test.c, x_win32_test.c.
local function for_target(file)
    local name = path.getbasename(file):gsub("_test$", "")
    return not name:match(windows and "_linux$" or "_win32$")
end

local function sources(pattern)
    local found = {}
    for _, file in ipairs(os.matchfiles(pattern)) do
        if for_target(file) then
            table.insert(found, file)
        end
    end
    table.sort(found)
    return found
end

local function without(list, names)
    local kept = {}
    for _, file in ipairs(list) do
        if not names[path.getname(file)] then
            table.insert(kept, file)
        end
    end
    return kept
end

-- Workspace

local function when(name)
    if filter then
        filter(name and { "configurations:" .. name } or {})
    else
        configuration(name or {})
    end
end

local function with_symbols()
    if symbols then
        symbols "On"
    else
        flags { "Symbols" }
    end
end

local function optimized()
    if optimize then
        optimize "On"
    else
        flags { "Optimize" }
    end
end

local output = "build/" .. target;
(workspace or solution) "pipehost"
configurations { "Release", "Debug", "Sanitize", "Threads" }
location(output)
language "C"
if cdialect then
    cdialect "C11"
end
if visual_studio then
    architecture "x86_64"
    staticruntime "On"
    -- lfs.c calls the narrow functions; own_code() asks for the wide ones.
    characterset "MBCS"
end
with_symbols()

when "Release"
defines { "NDEBUG" }
optimized()
if not visual_studio then
    -- A message goes through many small functions of several files: a fifth
    -- fewer instructions. In one partition: what a function leaves alone is
    -- known to its callers then.
    buildoptions { "-flto=auto", "-O3" }
    linkoptions { "-flto=auto", "-flto-partition=one", "-O3" }
end
when "Debug"
defines { "LUA_USE_APICHECK" }
when "Sanitize"
defines { "LUA_USE_APICHECK", "PH_PLAIN_HEAP" }
if not visual_studio then
    buildoptions { "-O1", "-fsanitize=address,undefined", "-fno-omit-frame-pointer" }
    linkoptions { "-fsanitize=address,undefined" }
end
when "Threads"
if not visual_studio then
    buildoptions { "-O1", "-fsanitize=thread", "-fno-omit-frame-pointer" }
    linkoptions { "-fsanitize=thread" }
end
when()

-- Release is build/<target> itself, the others are folders in it.
local function target_folders(sub)
    when "Release"
    targetdir(output .. sub)
    when "Debug"
    targetdir(output .. "/debug" .. sub)
    when "Sanitize"
    targetdir(output .. "/sanitize" .. sub)
    when "Threads"
    targetdir(output .. "/threads" .. sub)
    when()
    objdir(output .. "/obj")
end

local function windows_only_static()
    if windows and not visual_studio then
        linkoptions { "-static" }
    end
end

local function static_library(name)
    project(name)
    kind "StaticLib"
    target_folders "/lib"
end

-- What all of our own code is compiled with.
local function own_code()
    includedirs { "host", "host/overlapped", "bindings" }
    if visual_studio then
        buildoptions { "/W4" }
    else
        if not cdialect then
            buildoptions { "-std=c11" }
        end
        buildoptions {
            "-Wall",
            "-Wextra",
            "-Wshadow",
            "-Wmissing-prototypes",
            "-Wstrict-prototypes",
            "-Wvla",
            "-Werror",
        }
    end
    if windows then
        defines { "UNICODE", "_UNICODE", "_WIN32_WINNT=0x0602", "WINVER=0x0602" }
        if not visual_studio then
            defines { "__USE_MINGW_ANSI_STDIO=1" }
        end
    else
        defines { "_GNU_SOURCE" }
        buildoptions { "-pthread" }
    end
end

local function executable(name, program, sub, libraries)
    project(name)
    kind "ConsoleApp"
    targetname(program)
    target_folders(sub)
    own_code()
    windows_only_static()
    links(libraries)
    if windows then
        links { "advapi32", "ntdll" }
    else
        links { "m" }
        linkoptions { "-pthread" }
    end
end

-- Targets

if generating then
    static_library "lua"
    includedirs { lua_src }
    -- lua.c and luac.c are programs; onelua.c and ltests.c come with a checkout;
    -- host/lua has its own way to compile the other two.
    files(without(os.matchfiles(lua_src .. "/*.c"), {
        ["lua.c"] = true,
        ["luac.c"] = true,
        ["onelua.c"] = true,
        ["ltests.c"] = true,
        ["lstrlib.c"] = true,
        ["ltablib.c"] = true,
    }))
    files { lfs_src .. "/lfs.c", "host/lua/string.c", "host/lua/table.c" }
    if not windows then
        -- LUA_USE_LINUX without its dlopen: no C modules are loaded.
        defines { "LUA_USE_POSIX" }
    end
    if not visual_studio and not cdialect then
        buildoptions { "-std=gnu11" }
    end
end

-- Optimized across files, the code for faults would go into the functions that
-- each message passes through, and make them slower for everybody.
local fault_sources = {
    ["fault.c"] = true, ["fault_plan.c"] = true, ["fault_read.c"] = true, ["fault_write.c"] = true,
}

static_library "overlapped"
own_code()
files(without(sources "host/overlapped/*.c", fault_sources))

static_library "faults"
own_code()
if not visual_studio then
    buildoptions { "-fno-lto" }
end
files(sources "host/overlapped/fault*.c")

executable("pipehost", "pipehost", "", { "overlapped", "faults", "lua" })
files(sources "host/*.c")
files(sources "bindings/*.c")
files { "build/embedded.c" }
if lua_src then
    includedirs { lua_src }
end
if windows then
    files { "host/pipehost.rc" }
    if visual_studio then
        -- The resources have one.
        if manifest then
            manifest "Off"
        else -- before 5.0.0-beta8
            flags { "NoManifest" }
        end
    end
end

-- One program for each file tests/overlapped/*_test.c; the other files of that
-- folder are linked into all of them.
local function overlapped_tests()
    local tests, shared = {}, {}
    for _, file in ipairs(sources "tests/overlapped/*.c") do
        table.insert(file:match "_test%.c$" and tests or shared, file)
    end
    for _, file in ipairs(tests) do
        local name = path.getbasename(file)
        executable("overlapped-" .. name, name, "/tests/overlapped", { "overlapped", "faults" })
        files { file }
        files(shared)
    end
end

-- Programs of their own, without any of pipehost's code.
local function stand_alone(folder)
    for _, file in ipairs(sources("tests/" .. folder .. "/*.c")) do
        local name = path.getbasename(file)
        executable(folder .. "-" .. name, name, "/tests/" .. folder, {})
        files { file }
    end
end

overlapped_tests()
stand_alone "interop"
stand_alone "bench"
