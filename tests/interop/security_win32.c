/* SPDX-License-Identifier: MIT */
/*
 * Reads back who owns a served pipe and who may use it, on the Win32 API alone:
 * "user SID" (of this process), "owner SID", "protected yes|no", then a line
 * "allow|deny MASK SID" for each entry, the mask in hex.
 */
#include <windows.h>

#include <aclapi.h>
#include <sddl.h>
#include <stdio.h>

static int fail(const char *what, DWORD error)
{
    fprintf(stderr, "%s: error %lu\n", what, error);
    return 1;
}

static void print_sid(const char *before, PSID sid)
{
    char *text = NULL;
    if (!ConvertSidToStringSidA(sid, &text))
        text = NULL;
    printf("%s %s\n", before, text ? text : "?");
    LocalFree(text);
}

static int print_user(void)
{
    char room[256];
    DWORD size = sizeof room;
    HANDLE token;
    BOOL got;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return fail("OpenProcessToken", GetLastError());
    got = GetTokenInformation(token, TokenUser, room, size, &size);
    CloseHandle(token);
    if (!got)
        return fail("GetTokenInformation", GetLastError());
    print_sid("user", ((TOKEN_USER *)(void *)room)->User.Sid);
    return 0;
}

static int print_entries(PACL list)
{
    for (DWORD i = 0; list && i < list->AceCount; i++) {
        char before[64];
        ACCESS_ALLOWED_ACE *entry;
        if (!GetAce(list, i, (void **)&entry))
            return fail("GetAce", GetLastError());
        snprintf(before, sizeof before, "%s %lx",
                 entry->Header.AceType == ACCESS_ALLOWED_ACE_TYPE ? "allow"
                                                                  : "deny",
                 (unsigned long)entry->Mask);
        print_sid(before, &entry->SidStart);
    }
    return 0;
}

static int print_security(HANDLE pipe)
{
    SECURITY_DESCRIPTOR_CONTROL control = 0;
    PSECURITY_DESCRIPTOR descriptor;
    PSID owner;
    PACL list;
    DWORD revision, error;
    int status;
    error = GetSecurityInfo(
        pipe, SE_KERNEL_OBJECT,
        OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION, &owner, NULL,
        &list, NULL, &descriptor);
    if (error != ERROR_SUCCESS)
        return fail("GetSecurityInfo", error);
    GetSecurityDescriptorControl(descriptor, &control, &revision);
    print_sid("owner", owner);
    printf("protected %s\n", control & SE_DACL_PROTECTED ? "yes" : "no");
    status = print_entries(list);
    LocalFree(descriptor);
    return status;
}

int main(int argc, char **argv)
{
    HANDLE pipe;
    int status;
    if (argc != 2)
        return fail("usage: security_win32 PIPE", 0);
    pipe = CreateFileA(argv[1], GENERIC_READ | READ_CONTROL, 0, NULL,
                       OPEN_EXISTING, 0, NULL);
    if (pipe == INVALID_HANDLE_VALUE)
        return fail("CreateFile", GetLastError());
    status = print_user();
    if (status == 0)
        status = print_security(pipe);
    CloseHandle(pipe);
    return status;
}
