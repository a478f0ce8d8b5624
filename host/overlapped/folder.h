/* SPDX-License-Identifier: MIT */
/* The part of overlapped.h that watches folders. */
#ifndef PH_FOLDER_H
#define PH_FOLDER_H

#include "port.h"

/* The mark before each name that a watch tells. */
enum {
    PH_MARK_CHANGED = '*', /* came, went, was renamed, or was written to */
    PH_MARK_WRITING = '~'  /* written to by somebody who has it open still;
                              only where the system tells (Linux) */
};

/* Begins to watch the folder at `path` (UTF-8), but not the folders in it.
 * `names_only`: entries that come, go, or are renamed; else files that are
 * written to as well. What happens from now on is kept for ph_watch_start.
 * *out is the caller's until ph_folder_close. PH_OK; PH_ABSENT: not there, or
 * not a folder; PH_DENIED; PH_NOMEM: no memory, or the system watches no more
 * folders; PH_SYSTEM with *os. */
enum ph_status ph_folder_open(struct ph_port *port, const char *path,
                              bool names_only, struct ph_folder **out,
                              long *os);

/* Ends it; a pending watch ends as PH_CANCELLED in the port's run. */
void ph_folder_close(struct ph_folder *folder);

/* Waits for changes; one at a time for each folder, else PH_MISUSE. PH_OK:
 * op->data has the entries that have changed since the last one was DONE, each
 * a mark, its name in UTF-8 and a zero byte, the same one possibly often.
 * op->more: some were lost, so that anything may have changed. PH_CLOSED: the
 * folder was deleted or, where the system tells, moved; nothing more comes. */
enum ph_status ph_watch_start(struct ph_op *op, struct ph_folder *folder,
                              int64_t deadline);

#endif
