/* SPDX-License-Identifier: MIT */
/*
 * Lua's string and table libraries run loops in C that no hook interrupts. They
 * are compiled from here (string.c, table.c), so that these loops look at a flag
 * in each turn, and raise an error when it is set.
 */
#ifndef PH_LUA_STOP_H
#define PH_LUA_STOP_H

#include <signal.h>

/* Set by the tick of host/limit.h, from a signal handler or another thread;
 * cleared by the loop's thread. One for the process, which has one loop: the
 * matcher's macros know of nothing that is not global. */
extern volatile sig_atomic_t ph_lua_stop;

#endif
