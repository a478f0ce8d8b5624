/* SPDX-License-Identifier: MIT */
#include "platform.h"

#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <windows.h>

#include <psapi.h>

void ph_platform_start(void)
{
    SetConsoleOutputCP(CP_UTF8);
    SetConsoleCP(CP_UTF8);
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    /* Bytes as they are: what a script prints is not to be translated. */
    _setmode(_fileno(stdout), _O_BINARY);
    _setmode(_fileno(stderr), _O_BINARY);
    _setmode(_fileno(stdin), _O_BINARY);
    /* There is no line buffering here, and who waits for a line must see it. */
    setvbuf(stdout, NULL, _IONBF, 0);
}

uint32_t ph_process_id(void)
{
    return GetCurrentProcessId();
}

size_t ph_process_ids(uint32_t *out, size_t most)
{
    DWORD ids[4096], bytes = 0;
    size_t count;
    if (!K32EnumProcesses(ids, sizeof ids, &bytes))
        return 0;
    count = bytes / sizeof *ids;
    if (count > most)
        count = most;
    for (size_t i = 0; i < count; i++)
        out[i] = ids[i];
    return count;
}

static bool to_utf8(const wchar_t *text, char *out, size_t size)
{
    return WideCharToMultiByte(CP_UTF8, 0, text, -1, out, (int)size, NULL,
                               NULL) > 0;
}

bool ph_program_path(char *out, size_t size)
{
    wchar_t path[MAX_PATH];
    DWORD len = GetModuleFileNameW(NULL, path, MAX_PATH);
    return len > 0 && len < MAX_PATH && to_utf8(path, out, size);
}

/* Below the user's own folder, which others can't write to. */
bool ph_temporary_folder(char *out, size_t size)
{
    wchar_t path[MAX_PATH + 40];
    DWORD len = GetTempPathW(MAX_PATH, path);
    LARGE_INTEGER ticks;
    if (!len || len > MAX_PATH)
        return false;
    QueryPerformanceCounter(&ticks);
    swprintf(path + len, 40, L"ph-%lx-%llx", GetCurrentProcessId(),
             (unsigned long long)ticks.QuadPart);
    return CreateDirectoryW(path, NULL) && to_utf8(path, out, size);
}

unsigned ph_processor_count(void)
{
    DWORD count = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    return count ? count : 1;
}

int64_t ph_wall_clock_ms(void)
{
    /* 100 ns since 1601. */
    const int64_t between = INT64_C(11644473600000);
    FILETIME now;
    GetSystemTimeAsFileTime(&now);
    int64_t ticks = (int64_t)now.dwHighDateTime << 32 | now.dwLowDateTime;
    return ticks / 10000 - between;
}

/* Reservations begin at multiples of 64 KiB. */
void *ph_slab_take(void)
{
    return VirtualAlloc(NULL, PH_SLAB, MEM_RESERVE | MEM_COMMIT,
                        PAGE_READWRITE);
}

void ph_slab_give(void *slab)
{
    VirtualFree(slab, 0, MEM_RELEASE);
}

void ph_utc(time_t seconds, struct tm *out)
{
    gmtime_s(out, &seconds);
}

bool ph_is_terminal(int descriptor)
{
    static const DWORD names[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
                                  STD_ERROR_HANDLE};
    DWORD mode;
    return GetConsoleMode(GetStdHandle(names[descriptor]), &mode);
}
