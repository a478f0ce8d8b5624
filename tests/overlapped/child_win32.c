/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

/* Wine's differs from that of Windows. */
const long long child_crash_code = -1;

void child_crash(void)
{
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    RaiseException(EXCEPTION_ACCESS_VIOLATION, EXCEPTION_NONCONTINUABLE, 0,
                   NULL);
}

/* A job cannot be left, whatever flags a program gives. */
bool child_leave_orphan(const char *program)
{
    STARTUPINFOA info = {.cb = sizeof info,
                         .dwFlags = STARTF_USESTDHANDLES,
                         .hStdInput = GetStdHandle(STD_INPUT_HANDLE),
                         .hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE),
                         .hStdError = GetStdHandle(STD_ERROR_HANDLE)};
    PROCESS_INFORMATION made;
    char line[1024];
    snprintf(line, sizeof line, "\"%s\" sleep", program);
    if (!CreateProcessA(NULL, line, NULL, NULL, TRUE,
                        DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP, NULL, NULL,
                        &info, &made))
        return false;
    CloseHandle(made.hThread);
    CloseHandle(made.hProcess);
    return true;
}

bool child_kill_watcher(void)
{
    return false;
}

void child_sleep_ms(int ms)
{
    Sleep((DWORD)ms);
}

void child_streams_binary(void)
{
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
    _setmode(_fileno(stderr), _O_BINARY);
}

static char *utf8(const wchar_t *text)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char *bytes = malloc((size_t)size);
    if (bytes)
        WideCharToMultiByte(CP_UTF8, 0, text, -1, bytes, size, NULL, NULL);
    return bytes;
}

/* Only this program needs shell32. */
char **child_arguments(int argc, char **argv)
{
    typedef wchar_t **(WINAPI * take_apart)(const wchar_t *, int *);
    HMODULE shell = LoadLibraryW(L"shell32.dll");
    take_apart parse = NULL;
    int count = 0;
    if (shell)
        parse = (take_apart)(void *)GetProcAddress(shell, "CommandLineToArgvW");
    wchar_t **wide = parse ? parse(GetCommandLineW(), &count) : NULL;
    if (!wide || count != argc)
        return argv;
    for (int i = 0; i < argc; i++)
        argv[i] = utf8(wide[i]);
    return argv;
}

const char *child_variable(const char *name)
{
    wchar_t wide_name[64], value[1024];
    MultiByteToWideChar(CP_UTF8, 0, name, -1, wide_name, 64);
    if (!GetEnvironmentVariableW(wide_name, value, 1024))
        return NULL;
    return utf8(value);
}
