/* SPDX-License-Identifier: MIT */
/*
 * A console and the pipe of a shell have no overlapped reads: one helper
 * thread blocks in them, for one chunk at a time. It can be in the middle of a
 * read that nothing ends when the port is gone, so it owns the block as well:
 * who lets go of it last frees it.
 */
#include "input.h"

#include <stdlib.h>

#include "system_win32.h"

#define CONSOLE_UNITS 4096 /* of UTF-16, in one read of a console */

struct win_input {
    struct ph_input base;
    struct ph_post post;
    HANDLE file, go, thread;
    bool console;
    SRWLOCK lock; /* of the following */
    bool left;    /* by the port */
    bool posted;  /* … which does not know yet */
    size_t len;   /* what the thread has read … */
    DWORD error;  /* … or why it has not */
    wchar_t units[CONSOLE_UNITS];
    wchar_t half; /* a surrogate whose other half is in the next read */
};

/* ---- The helper's side ------------------------------------------------ */

/* Ctrl-Z at the start of a line is a console's end. */
static size_t to_utf8(struct win_input *w, DWORD count)
{
    DWORD from = 0, all = count + (w->half != 0);
    int len;
    if (w->half)
        w->units[0] = w->half;
    else
        from = 1;
    w->half = 0;
    if (count && IS_HIGH_SURROGATE(w->units[count])) {
        w->half = w->units[count];
        all--;
    }
    if (!all || w->units[from] == 0x1a)
        return 0;
    len = WideCharToMultiByte(CP_UTF8, 0, w->units + from, (int)all,
                              (char *)w->base.bytes, PH_INPUT_MOST, NULL, NULL);
    return len > 0 ? (size_t)len : 0;
}

/* One unit at the front is left for a half from before. */
static DWORD read_console(struct win_input *w, size_t *len)
{
    DWORD count = 0;
    if (!ReadConsoleW(w->file, w->units + 1, CONSOLE_UNITS - 1, &count, NULL))
        return GetLastError();
    *len = to_utf8(w, count);
    return ERROR_SUCCESS;
}

static DWORD read_file(struct win_input *w, size_t *len)
{
    DWORD count = 0, error = ERROR_SUCCESS;
    if (!ReadFile(w->file, w->base.bytes, PH_INPUT_MOST, &count, NULL))
        error = GetLastError();
    *len = count;
    return error;
}

static bool is_end(DWORD error)
{
    return error == ERROR_BROKEN_PIPE || error == ERROR_HANDLE_EOF ||
           error == ERROR_NO_DATA;
}

static void free_input(struct win_input *w)
{
    CloseHandle(w->go);
    CloseHandle(w->thread);
    free(w->base.bytes);
    free(w);
}

/* False: the port has left, the block is this thread's. */
static bool hand_over(struct win_input *w, DWORD error, size_t len)
{
    bool left;
    AcquireSRWLockExclusive(&w->lock);
    w->len = len;
    w->error = is_end(error) ? ERROR_SUCCESS : error;
    left = w->left;
    w->posted = !left;
    if (!left)
        ph_port_post(w->base.port, &w->post);
    ReleaseSRWLockExclusive(&w->lock);
    return !left;
}

static DWORD WINAPI help(void *argument)
{
    struct win_input *w = argument;
    bool stays = true;
    while (stays) {
        size_t len = 0;
        DWORD error = ERROR_SUCCESS;
        WaitForSingleObject(w->go, INFINITE);
        AcquireSRWLockExclusive(&w->lock);
        stays = !w->left;
        ReleaseSRWLockExclusive(&w->lock);
        if (!stays)
            break;
        error = w->console ? read_console(w, &len) : read_file(w, &len);
        stays = hand_over(w, error, len);
    }
    free_input(w);
    return 0;
}

/* ---- The port's side -------------------------------------------------- */

static struct win_input *win_input(struct ph_input *input)
{
    return ph_container_of(input, struct win_input, base);
}

static void arrived(struct ph_post *post)
{
    struct win_input *w = ph_container_of(post, struct win_input, post);
    bool left;
    AcquireSRWLockExclusive(&w->lock);
    w->posted = false;
    left = w->left;
    if (left)
        SetEvent(w->go);
    ReleaseSRWLockExclusive(&w->lock);
    if (left)
        return;
    w->base.len = w->len;
    w->base.ended = !w->len;
    w->base.os = (long)w->error;
    ph_input_arrived(&w->base);
}

enum ph_status ph_backend_input_open(struct ph_port *port,
                                     struct ph_input **out, long *os)
{
    struct win_input *w = calloc(1, sizeof *w);
    DWORD mode;
    if (!w)
        return PH_NOMEM;
    w->base.port = port;
    w->post.arrive = arrived;
    w->file = GetStdHandle(STD_INPUT_HANDLE);
    w->console = GetConsoleMode(w->file, &mode);
    InitializeSRWLock(&w->lock);
    w->go = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (w->go) /* it waits for `go` first: `thread` is set by then */
        w->thread = CreateThread(NULL, 0, help, w, 0, NULL);
    if (w->thread) {
        *out = &w->base;
        return PH_OK;
    }
    *os = (long)GetLastError();
    if (w->go)
        CloseHandle(w->go);
    free(w);
    return PH_SYSTEM;
}

void ph_backend_input_ask(struct ph_input *input)
{
    SetEvent(win_input(input)->go);
}

/* A read of a console may go on until somebody presses a key: the thread is
 * not waited for. It must not free a note that is in the port's list. */
void ph_backend_input_close(struct ph_input *input)
{
    struct win_input *w = win_input(input);
    AcquireSRWLockExclusive(&w->lock);
    w->left = true;
    if (!w->posted)
        SetEvent(w->go);
    CancelSynchronousIo(w->thread);
    ReleaseSRWLockExclusive(&w->lock);
}
