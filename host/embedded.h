/* SPDX-License-Identifier: MIT */
#ifndef PH_EMBEDDED_H
#define PH_EMBEDDED_H

#include <stddef.h>

/*
 * The files that the program carries in itself: premake5.lua writes them to
 * build/embedded.c. Names use '/' and are sorted bytewise: "argparse.lua",
 * "licenses/lua.txt", "luaunit.lua", "pipehost/main.lua". A module is a chunk
 * for lua_load, of bytecode or of text; what is no module is text.
 */
struct ph_embedded {
    const char *name;
    const unsigned char *data; /* size bytes, and a zero that size leaves out */
    size_t size;
};

extern const struct ph_embedded ph_embedded[];
extern const size_t ph_embedded_count;

#endif
