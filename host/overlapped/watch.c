/* SPDX-License-Identifier: MIT */
/* Watched folders: the back end tells changes at any time, an operation takes
 * them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "operation.h"

/* Names kept for a watch; who is told of more looks at everything. */
#define NAMES_MAX 65536

/* ---- What the back end tells -------------------------------------------- */

static bool has_news(const struct ph_folder *folder)
{
    return folder->len || folder->lost || folder->gone;
}

static void wake(struct ph_folder *folder)
{
    if (folder->op)
        ph_op_poke(folder->op);
}

void ph_folder_lost(struct ph_folder *folder)
{
    folder->lost = true;
    folder->len = 0;
    wake(folder);
}

void ph_folder_gone(struct ph_folder *folder)
{
    folder->gone = true;
    wake(folder);
}

static bool make_room(struct ph_folder *folder, size_t size)
{
    size_t cap = folder->cap ? folder->cap : 256;
    unsigned char *more;
    while (cap < folder->len + size)
        cap *= 2;
    if (cap == folder->cap)
        return true;
    more = realloc(folder->names, cap);
    if (!more)
        return false;
    folder->names = more;
    folder->cap = cap;
    return true;
}

/* A save is several changes of the same file in a row. */
static bool told_last(const struct ph_folder *folder, char mark,
                      const char *name, size_t len)
{
    const unsigned char *last;
    if (folder->len < len + 2)
        return false;
    last = folder->names + folder->len - len - 2;
    return last[0] == (unsigned char)mark && memcmp(last + 1, name, len) == 0;
}

void ph_folder_changed(struct ph_folder *folder, char mark, const char *name,
                       size_t len)
{
    size_t size = len + 2;
    assert(!memchr(name, 0, len));
    if (folder->lost || told_last(folder, mark, name, len))
        return;
    if (folder->len + size > NAMES_MAX || !make_room(folder, size)) {
        ph_folder_lost(folder);
        return;
    }
    folder->names[folder->len] = (unsigned char)mark;
    memcpy(folder->names + folder->len + 1, name, len);
    folder->names[folder->len + size - 1] = 0;
    folder->len += size;
    wake(folder);
}

/* ---- The operation ------------------------------------------------------ */

static void give_names(struct ph_op *op, struct ph_folder *folder)
{
    op->buf = folder->names;
    op->cap = folder->cap;
    op->data = op->buf;
    op->len = folder->len;
    op->more = folder->lost;
    folder->names = NULL;
    folder->len = folder->cap = 0;
    folder->lost = false;
}

static void end(struct ph_op *op, struct ph_folder *folder,
                enum ph_status status)
{
    op->system = NULL;
    folder->op = NULL;
    ph_op_end(op, status);
}

void ph_watch_step(struct ph_op *op)
{
    struct ph_folder *folder = op->system;
    if (!folder) { /* closed */
        ph_op_end(op, op->ending);
    } else if (folder->len || folder->lost) {
        give_names(op, folder);
        end(op, folder, PH_OK);
    } else if (folder->gone) {
        end(op, folder, PH_CLOSED);
    } else if (op->ending != PH_OK) {
        end(op, folder, op->ending);
    }
}

enum ph_status ph_watch_start(struct ph_op *op, struct ph_folder *folder,
                              int64_t deadline)
{
    assert(!folder->closed);
    if (folder->op)
        return ph_op_misuse(op, "a watch of this folder is pending");
    ph_op_begin(op, PH_OP_WATCH, folder->port, NULL, deadline);
    op->system = folder;
    folder->op = op;
    if (has_news(folder))
        ph_watch_step(op);
    ph_op_started(op);
    return PH_OK;
}

/* ---- The folder --------------------------------------------------------- */

enum ph_status ph_folder_open(struct ph_port *port, const char *path,
                              bool names_only, struct ph_folder **out, long *os)
{
    struct ph_folder *folder = ph_backend_folder_alloc();
    enum ph_status status;
    if (!folder)
        return PH_NOMEM;
    folder->port = port;
    status = ph_backend_folder_open(folder, path, names_only, os);
    if (status != PH_OK) {
        ph_backend_folder_free(folder);
        return status;
    }
    port->counts.folders++;
    *out = folder;
    return PH_OK;
}

void ph_folder_close(struct ph_folder *folder)
{
    assert(!folder->closed);
    folder->closed = true;
    if (folder->op) {
        folder->op->system = NULL;
        ph_op_cancel(folder->op);
        folder->op = NULL;
    }
    ph_backend_folder_close(folder);
}

void ph_folder_closed(struct ph_folder *folder)
{
    assert(folder->closed && folder->port->counts.folders);
    folder->port->counts.folders--;
    free(folder->names);
    ph_backend_folder_free(folder);
}
