/* SPDX-License-Identifier: MIT */
/*
 * Lua's string and table libraries run loops in C that no hook interrupts. They
 * are compiled from here (string.c, table.c), so that these loops look at a flag
 * in each turn, and raise an error when it is set.
 */
#ifndef PH_LUA_STOP_H
#define PH_LUA_STOP_H

#include <stdatomic.h>
#include <stdbool.h>

/* A bit for each thread that runs Lua. Set by the tick of host/limit.h, from a
 * signal handler or another thread; cleared by the thread that is meant. Global:
 * the matcher's macros know of nothing else. */
extern atomic_uint_fast64_t ph_lua_stops;

/* Is the bit of the calling thread set? */
bool ph_lua_stops_here(void);

/* The same, for loops: where nobody is to stop it costs one look. */
static inline bool ph_lua_stop(void)
{
    return atomic_load_explicit(&ph_lua_stops, memory_order_relaxed) &&
           ph_lua_stops_here();
}

#endif
