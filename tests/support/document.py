# SPDX-License-Identifier: MIT
"""Documents whose sessions are run as they stand there.

In docs/testing.md a comment before a block tells what it is, for one system:
    <!-- linux: NAME -->          the file's text from here on
    <!-- linux insert: NAME -->   goes in before the file's last line
    <!-- linux session -->        lines "$ pipehost …", each with what it prints
"""

import os
import re

import phtest

BLOCK = re.compile(r"<!-- (\w+)( insert| session)?:? ?(\S*) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REPLACED = [
    (r"\S*/t\d+/(?=greeter|lengths)", "TMP/"),
    (r'File "\S*/', 'File "'),
    (r"(?m)^ +\| +\^+\n", ""),  # newer Pythons have it below a line
    (r"(?m)^  \| \d\d:\d\d:\d\d\.\d+Z .*\n", ""),
    (r"(?m)^  output:\n(?!  \|)", ""),
    (r"(?m)^ +\d+\.\d  ", "         MS  "),
    (r"(?m)^seed \d+", "seed N"),
    (r"(?m) +$", ""),
]


def normal(text):
    for pattern, replacement in REPLACED:
        text = re.sub(pattern, replacement, text)
    return text


class Case(phtest.TestCase):
    maxDiff = None

    def play(self, path, system):
        """Gives the number of sessions."""
        with open(os.path.join(phtest.ROOT, path), encoding="utf-8") as file:
            blocks = BLOCK.findall(file.read())
        sessions = 0
        for block_system, kind, name, text in blocks:
            if block_system != system:
                continue
            if kind.strip() == "insert":
                with open(os.path.join(self.folder, name), encoding="utf-8") as file:
                    *lines, last = file.read().splitlines(True)
                text = "".join(lines) + text + last
            if kind.strip() == "session":
                self.session(text)
                sessions += 1
            else:
                self.write_file(name, text)
        return sessions

    def session(self, text):
        for command, expected in re.findall(r"(?m)^\$ pipehost (.*)\n((?:(?!\$ ).*\n)*)", text):
            done = self.run_pipehost(*command.split(), cwd=self.folder)
            self.assertEqual(normal(done.out + "\n"), normal(expected), (command, done))
            self.assertEqual(done.err, "")
