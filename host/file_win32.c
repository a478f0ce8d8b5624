/* SPDX-License-Identifier: MIT */
#include "file.h"

#include <stdlib.h>
#include <windows.h>

static enum ph_status status_of(DWORD error)
{
    switch (error) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_NAME:
    case ERROR_BAD_NETPATH:
    case ERROR_BAD_PATHNAME:
        return PH_ABSENT;
    case ERROR_SHARING_VIOLATION:
    case ERROR_LOCK_VIOLATION:
    case ERROR_DELETE_PENDING:
        return PH_BUSY;
    case ERROR_ACCESS_DENIED:
        return PH_DENIED;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_TOO_MANY_OPEN_FILES:
        return PH_NOMEM;
    default:
        return PH_SYSTEM;
    }
}

static DWORD open_file(const char *path, HANDLE *out)
{
    const DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    DWORD error = ERROR_SUCCESS;
    int units =
        MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, NULL, 0);
    WCHAR *wide = units > 0 ? malloc((size_t)units * sizeof *wide) : NULL;
    if (!wide)
        return units > 0 ? ERROR_NOT_ENOUGH_MEMORY : ERROR_INVALID_NAME;
    MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, units);
    *out = CreateFileW(wide, GENERIC_READ, share, NULL, OPEN_EXISTING,
                       FILE_ATTRIBUTE_NORMAL, NULL);
    if (*out == INVALID_HANDLE_VALUE)
        error = GetLastError();
    /* That is what a folder gives. */
    if (error == ERROR_ACCESS_DENIED) {
        DWORD is = GetFileAttributesW(wide);
        if (is != INVALID_FILE_ATTRIBUTES && is & FILE_ATTRIBUTE_DIRECTORY)
            error = ERROR_FILE_NOT_FOUND;
    }
    free(wide);
    return error;
}

static bool same(const BY_HANDLE_FILE_INFORMATION *a,
                 const BY_HANDLE_FILE_INFORMATION *b)
{
    return a->nFileSizeLow == b->nFileSizeLow &&
           CompareFileTime(&a->ftLastWriteTime, &b->ftLastWriteTime) == 0;
}

static enum ph_status read_stable(HANDLE file,
                                  const BY_HANDLE_FILE_INFORMATION *before,
                                  struct ph_file *out, long *os)
{
    BY_HANDLE_FILE_INFORMATION after;
    DWORD len = 0;
    out->bytes = malloc((size_t)before->nFileSizeLow + 1);
    if (!out->bytes)
        return PH_NOMEM;
    if (!ReadFile(file, out->bytes, before->nFileSizeLow + 1, &len, NULL) ||
        !GetFileInformationByHandle(file, &after)) {
        *os = (long)GetLastError();
        return status_of((DWORD)*os);
    }
    out->len = len;
    return len == before->nFileSizeLow && same(before, &after) ? PH_OK
                                                               : PH_BUSY;
}

static enum ph_status read_open(HANDLE file, size_t most, struct ph_file *out,
                                long *os)
{
    BY_HANDLE_FILE_INFORMATION is;
    enum ph_status status;
    if (GetFileType(file) != FILE_TYPE_DISK)
        return PH_ABSENT;
    if (!GetFileInformationByHandle(file, &is)) {
        *os = (long)GetLastError();
        return status_of((DWORD)*os);
    }
    if (is.nFileSizeHigh || is.nFileSizeLow > most ||
        is.nFileSizeLow >= INT32_MAX)
        return PH_TOOBIG;
    status = read_stable(file, &is, out, os);
    if (status != PH_OK) {
        free(out->bytes);
        out->bytes = NULL;
    }
    return status;
}

enum ph_status ph_file_read(const char *path, size_t most, struct ph_file *out,
                            long *os)
{
    HANDLE file;
    DWORD error = open_file(path, &file);
    enum ph_status status;
    if (error != ERROR_SUCCESS) {
        *os = (long)error;
        return status_of(error);
    }
    status = read_open(file, most, out, os);
    CloseHandle(file);
    return status;
}
