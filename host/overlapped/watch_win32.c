/* SPDX-License-Identifier: MIT */
/* ReadDirectoryChangesW: one request for each folder is always in the system,
 * which keeps what happens between two of them. */
#include <assert.h>
#include <stdlib.h>

#include "system_win32.h"

/* Shares on other machines take at most 64 KiB. */
#define BUFFER_SIZE 16384

struct win_folder {
    struct ph_folder base;
    struct win_io io;
    HANDLE handle; /* NULL: it is watched no more */
    DWORD filter;
    DWORD buffer[BUFFER_SIZE / sizeof(DWORD)];
};

static struct win_folder *win_folder(struct ph_folder *folder)
{
    return ph_container_of(folder, struct win_folder, base);
}

struct ph_folder *ph_backend_folder_alloc(void)
{
    struct win_folder *folder = calloc(1, sizeof *folder);
    return folder ? &folder->base : NULL;
}

void ph_backend_folder_free(struct ph_folder *folder)
{
    assert(!win_folder(folder)->io.pending);
    free(win_folder(folder));
}

static DWORD request(struct win_folder *folder)
{
    folder->io.ov = (OVERLAPPED){0};
    if (!ReadDirectoryChangesW(folder->handle, folder->buffer, BUFFER_SIZE,
                               FALSE, folder->filter, NULL, &folder->io.ov,
                               NULL))
        return GetLastError();
    folder->io.pending = true;
    return ERROR_SUCCESS;
}

/* A deleted folder stays, unusable, until its last handle is closed. */
static void leave(struct win_folder *folder)
{
    if (folder->handle)
        CloseHandle(folder->handle);
    folder->handle = NULL;
}

/* ---- What the system tells ---------------------------------------------- */

/* A name that is not valid UTF-16 has no path that anybody here could have
 * named. */
static void tell(struct ph_folder *folder, const FILE_NOTIFY_INFORMATION *entry)
{
    char name[3 * MAX_PATH + 1];
    int len =
        WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, entry->FileName,
                            (int)(entry->FileNameLength / sizeof(WCHAR)), name,
                            sizeof name, NULL, NULL);
    if (len > 0)
        ph_folder_changed(folder, PH_MARK_CHANGED, name, (size_t)len);
}

static void tell_all(struct win_folder *folder)
{
    const char *at = (const char *)folder->buffer;
    const FILE_NOTIFY_INFORMATION *entry;
    do {
        entry = (const void *)at;
        tell(&folder->base, entry);
        at += entry->NextEntryOffset;
    } while (entry->NextEntryOffset);
}

static void arrived(struct win_io *io, DWORD error, DWORD bytes)
{
    struct win_folder *folder = ph_container_of(io, struct win_folder, io);
    if (folder->base.closed) {
        ph_folder_closed(&folder->base);
        return;
    }
    if (error == ERROR_NOTIFY_ENUM_DIR || (error == ERROR_SUCCESS && !bytes))
        ph_folder_lost(&folder->base);
    else if (error == ERROR_SUCCESS)
        tell_all(folder);
    if (error == ERROR_SUCCESS || error == ERROR_NOTIFY_ENUM_DIR)
        error = request(folder);
    if (error == ERROR_SUCCESS)
        return;
    leave(folder);
    ph_folder_gone(&folder->base);
}

/* ---- Folders ------------------------------------------------------------ */

static DWORD open_handle(struct win_folder *folder, const char *path)
{
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    DWORD error = ERROR_SUCCESS;
    WCHAR *wide = ph_win_wide(path);
    HANDLE handle;
    if (!wide)
        return ERROR_NOT_ENOUGH_MEMORY;
    handle =
        CreateFileW(wide, FILE_LIST_DIRECTORY, share, NULL, OPEN_EXISTING,
                    FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OVERLAPPED, NULL);
    if (handle == INVALID_HANDLE_VALUE)
        error = GetLastError();
    else
        folder->handle = handle;
    free(wide);
    return error;
}

static DWORD begin(struct win_folder *folder, const char *path)
{
    BY_HANDLE_FILE_INFORMATION is;
    DWORD error = open_handle(folder, path);
    if (error != ERROR_SUCCESS)
        return error;
    if (!GetFileInformationByHandle(folder->handle, &is))
        return GetLastError();
    if (!(is.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY))
        return ERROR_PATH_NOT_FOUND;
    /* Every request brings a packet: what ends at once must not be told from
     * what is pending. */
    if (!CreateIoCompletionPort(folder->handle,
                                win_port(folder->base.port)->iocp, 0, 0))
        return GetLastError();
    return request(folder);
}

enum ph_status ph_backend_folder_open(struct ph_folder *base, const char *path,
                                      bool names_only, long *os)
{
    struct win_folder *folder = win_folder(base);
    DWORD error;
    folder->filter = FILE_NOTIFY_CHANGE_FILE_NAME | FILE_NOTIFY_CHANGE_DIR_NAME;
    if (!names_only)
        folder->filter |=
            FILE_NOTIFY_CHANGE_LAST_WRITE | FILE_NOTIFY_CHANGE_SIZE;
    folder->io.arrive = arrived;
    error = begin(folder, path);
    if (error == ERROR_SUCCESS)
        return PH_OK;
    leave(folder);
    *os = (long)error;
    return ph_win_status(error);
}

void ph_backend_folder_close(struct ph_folder *base)
{
    struct win_folder *folder = win_folder(base);
    bool pending = folder->io.pending;
    if (pending)
        CancelIoEx(folder->handle, &folder->io.ov);
    leave(folder);
    if (!pending)
        ph_folder_closed(base);
}
