/* SPDX-License-Identifier: MIT */
/* Files of scripts: read whole, or not at all. */
#ifndef PH_FILE_H
#define PH_FILE_H

#include "lua.h"
#include "overlapped.h"

struct ph_file {
    char *bytes; /* malloc'ed; the owner frees it */
    size_t len;
};

/* Reads a file, at most `most` bytes of it, in the way that disturbs others
 * least: on Windows they may write, rename and delete it meanwhile. PH_OK;
 * PH_ABSENT: not there, or no regular file; PH_BUSY: it was written to while it
 * was read, or is locked by its writer, and may be tried again; PH_TOOBIG;
 * PH_DENIED; PH_NOMEM; PH_SYSTEM; with the system's number in *os or 0. */
enum ph_status ph_file_read(const char *path, size_t most, struct ph_file *out,
                            long *os);

/* Adds the function read_file to the core table on top of the stack. */
void ph_file_open(lua_State *L);

#endif
