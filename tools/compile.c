/* SPDX-License-Identifier: MIT */
/*
 * usage: compile NAME FILE > BYTECODE
 *
 * Compiles a file of the Lua library, which premake5.lua embeds. Runs on the
 * machine that builds, with the sources of Lua that go into the program: the
 * format of a chunk differs from one Lua to the next. Names and lines stay in
 * it; NAME is the file's in tracebacks.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lauxlib.h"

static int fail(const char *name, const char *what)
{
    fprintf(stderr, "compile: %s: %s\n", name, what);
    return EXIT_FAILURE;
}

static int write_piece(lua_State *L, const void *piece, size_t size, void *to)
{
    (void)L;
    return fwrite(piece, 1, size, to) != size;
}

static const char *next_piece(lua_State *L, void *from, size_t *size)
{
    static char piece[4096];
    (void)L;
    *size = fread(piece, 1, sizeof piece, from);
    return piece;
}

int main(int argc, char **argv)
{
    lua_State *L = luaL_newstate();
    FILE *file;
    if (argc != 3 || !L)
        return fail("usage", "compile NAME FILE");
    file = fopen(argv[2], "rb");
    if (!file)
        return fail(argv[2], "cannot be read");
    lua_pushfstring(L, "@%s", argv[1]);
    if (lua_load(L, next_piece, file, lua_tostring(L, -1), "t") != LUA_OK)
        return fail(argv[2], lua_tostring(L, -1));
    if (ferror(file) || lua_dump(L, write_piece, stdout, 0) ||
        fflush(stdout) != 0)
        return fail(argv[2], "cannot be compiled");
    fclose(file);
    lua_close(L);
    return EXIT_SUCCESS;
}
