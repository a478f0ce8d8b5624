/* SPDX-License-Identifier: MIT */
/*
 * lstrlib.c, whose matcher takes one step more only after a comparison that
 * luaL says is unlikely ("pattern too complex"): the flag makes it come true.
 * All of its other uses guard errors too.
 */
#include "lprefix.h"

#include <string.h>

#include "stop.h"

#if defined(__GNUC__)
#define luai_likely(x) (__builtin_expect(((x) != 0), 1))
#define luai_unlikely(x) (__builtin_expect(((x) != 0) | ph_lua_stop(), 0))
#else
#define luai_likely(x) (x)
#define luai_unlikely(x) (((x) != 0) | ph_lua_stop())
#endif

/* The search for plain text goes from one first byte to the next. */
static const void *find_byte(const void *text, int byte, size_t len)
{
    return ph_lua_stop() ? NULL : memchr(text, byte, len);
}
#define memchr(text, byte, len) find_byte(text, byte, len)

#include "lstrlib.c"
