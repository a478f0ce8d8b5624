/* SPDX-License-Identifier: MIT */
/*
 * Which Lua this builds against. Older ones crash in string concatenation,
 * leave <close> open on break, and mis-compile bitwise constants; 5.4.7 still
 * mis-compiles `upvalue[a < b]`: build.sh corrects its copy, and premake5.lua
 * refuses sources without the correction.
 */
#ifndef PH_LUA_VERSION_H
#define PH_LUA_VERSION_H

#include "lua.h"

#if LUA_VERSION_NUM != 504 || LUA_VERSION_RELEASE_NUM < 50407
#error "pipehost needs Lua 5.4.7 or a later 5.4: see docs/building.md"
#endif

#endif
