# SPDX-License-Identifier: MIT
# run.py: timeout=240
"""Every way in which a handler can go on for ever, or take all memory, ends in
an error or a refusal; only its own client is closed, others are answered
meanwhile, and the script goes on."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import phtest  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
# That the server may compute meanwhile.
ANSWER_MS = {"linux": 200, "linux-sanitize": 600, "windows": 400}[phtest.SYSTEM]

BUDGET = ("closed", "budget")
NOMEM = ("closed", "error")
ERROR = ("closed", "error")

# way: what its client gets, and the reason of the end
WAYS = {
    "loop": BUDGET,
    "pcall_loop": BUDGET,
    "pcall_c_function": BUDGET,
    "tail_called_pattern": BUDGET,
    "coroutine_loop": BUDGET,
    "wrap_loop": BUDGET,
    "many_coroutines": BUDGET,
    "nested_coroutines": BUDGET,
    "waits_and_loops": ("first", "budget"),
    "close_variable_that_waits": BUDGET,
    "operation_to_close": BUDGET,
    "xpcall_handler": BUDGET,
    "xpcall_handler_first": BUDGET,
    "coroutine_dies_then_closes": BUDGET,
    "closes_a_suspended_coroutine": BUDGET,
    "wrap_dies_then_closes": BUDGET,
    "close_in_wrap": BUDGET,
    "close_of_closes": BUDGET,
    "close_raises_for_ever": BUDGET,
    "closes_itself": ("false", "closed"),
    "resumes_itself": ("cannot resume the coroutine of a task", "closed"),
    "closes_its_parent": ("false", "closed"),
    "takes_a_tasks_coroutine": ("falsefalse", "closed"),
    "leave_dead_coroutine": BUDGET,
    "close_dead_coroutine": ("false", "closed"),
    "close_variable": BUDGET,
    "close_variables_in_pcall": BUDGET,
    "finalizer": ERROR,
    "finalizer_by_debug": ERROR,
    "finalizer_of_files": ERROR,
    "late_finalizer": ("inert", "closed"),
    "pattern_questions": BUDGET,
    "pattern_minus": BUDGET,
    "pattern_gsub": BUDGET,
    "pattern_gmatch": BUDGET,
    "pattern_recursion": BUDGET,
    "pattern_balance": BUDGET,
    "plain_find": BUDGET,
    "format_of_objects": BUDGET,
    "format_for_ever": BUDGET,
    "rep_for_ever": BUDGET,
    "rep_overflow": ERROR,
    "utf8_for_ever": BUDGET,
    "unpack_for_ever": BUDGET,
    "date_of_all": ERROR,
    "date_for_ever": BUDGET,
    "number_of_digits": ERROR,
    "numbers_for_ever": BUDGET,
    "strings_compared": BUDGET,
    "collect_for_ever": BUDGET,
    "collect_by_steps": BUDGET,
    "collector_stopped": BUDGET,
    "collector_generational": BUDGET,
    "collector_as_it_was": ("generational", "closed"),
    "rep_of_nothing": ("0", "closed"),
    "table_insert": BUDGET,
    "table_remove": BUDGET,
    "table_move": BUDGET,
    "table_concat": BUDGET,
    "table_unpack": ERROR,
    "sort_without_comparator": BUDGET,
    "sort_comparator": BUDGET,
    "sort_lying": ERROR,
    "gsub_callback": BUDGET,
    "gsub_huge": BUDGET,
    "index_function": BUDGET,
    "tostring_loop": BUDGET,
    "error_object": BUDGET,
    "tostring_raises": ERROR,
    "tostring_of_errors": ERROR,
    "error_of_nil": ERROR,
    "error_in_handlers": ERROR,
    "logged_object": BUDGET,
    "length_of_a_list": ERROR,
    "lists_of_events": BUDGET,
    "load_for_ever": BUDGET,
    "load_deep": ("nil", "closed"),
    "load_large": ERROR,
    "load_reader_loop": BUDGET,
    "one_string": NOMEM,
    "recursion_of_pcall": BUDGET,
    "recursion_of_gsub": BUDGET,
    "recursion_of_tostring": BUDGET,
    "recursion_of_index": BUDGET,
    "no_hooks_for_scripts": ERROR,
    "no_registry_for_scripts": ERROR,
    "sets_upvalues_of_the_library": ERROR,
    "sets_upvalues_of_lua_functions": ERROR,
    "joins_upvalues_of_the_library": ERROR,
    "sets_locals_of_the_library": ERROR,
    "metatable_of_a_server": ERROR,
    "metatable_of_strings": ERROR,
}

# Of the answer's time: Lua visits some hundred thousand calls several times
# before all of them are left.
SLOW_WAYS = {"recursion": 4}

# Either limit may be the first that is passed.
EITHER = {
    "load_or": (("nil", "closed"), BUDGET),
    "load_elseif": (("nil", "closed"), BUDGET),
    "load_goto": (("nil", "closed"), BUDGET),
    "byte_of_all": (BUDGET, ERROR),
    "load_reader": (BUDGET, ERROR),
    "recursion": (BUDGET, ERROR),
    "memory": (BUDGET, NOMEM),
    "writes_kept": (BUDGET, NOMEM),
    "writes_forgotten": (BUDGET, NOMEM),
    "results_kept": (BUDGET, NOMEM),
    "leak": (BUDGET, NOMEM),
}


class Ways(phtest.TestCase):
    def setUp(self):
        super().setUp()
        self.first, self.second = self.pipe_name(), self.pipe_name()
        self.settings = ["--set", "first=" + self.first, "--set", "second=" + self.second]
        script = phtest.native(os.path.join(HERE, "ways.lua"))
        self.server = self.start("serve", script, *self.settings)
        self.server.wait_for("serving 1 script")

    def ask(self, *ways):
        """way -> reply, reason, ms"""
        client = phtest.native(os.path.join(HERE, "ask.lua"))
        settings = [*self.settings, "--set", f"pid={self.server.pid}"]
        done = self.run_pipehost("run", *settings, client, *ways, seconds=60)
        self.assertEqual(done.status, 0, (done, self.server))
        rows = [line.split("\t") for line in done.out.splitlines()]
        return {row[0]: (row[1], row[2], float(row[3])) for row in rows}

    def check_times(self, got):
        """Nobody else waits longer than it takes to notice."""
        late = {way: row[2] for way, row in got.items() if row[2] > ANSWER_MS * SLOW_WAYS.get(way, 1)}
        self.assertEqual(late, {}, f"answered after more than {ANSWER_MS} ms")

    def check_server(self):
        self.assertTrue(self.server.running(), self.server)
        self.assertEqual(self.server.stop(), 0, self.server)

    def test_each_way(self):
        got = self.ask(*WAYS)
        self.maxDiff = None
        self.assertEqual({way: row[:2] for way, row in got.items()}, WAYS, self.server)
        self.check_times(got)
        self.check_server()
        budget = "longer than 100 ms without waiting"
        self.assertRegex(self.server.err, r"ways\.lua:\d+: budget: the script computed " + budget)
        self.assertRegex(self.server.err, r"ways\.lua:\d+: nomem: the script needs more than its 64 MiB")

    def test_one_limit_or_another(self):
        got = self.ask(*EITHER)
        for way, row in got.items():
            self.assertIn(row[:2], EITHER[way], way)
        self.check_times(got)
        # What leaked is still there, and the script can let go of it.
        self.assertEqual(self.ask("free")["free"][0], "freed")
        self.check_server()

    def test_a_task_of_a_handler(self):
        reply, reason, _ = self.ask("tasks")["tasks"]
        self.assertRegex(reply, r"^false .*ways\.lua:\d+: budget: ")
        self.assertEqual(reason, "closed")
        self.check_server()

    def test_a_budget_for_each_message(self):
        """Many messages, each within its budget, and none after a kill."""
        for _ in range(2):
            got = self.ask("loop", "rep_of_nothing", "loop")
            self.assertEqual(got["rep_of_nothing"][:2], ("0", "closed"))
        self.check_server()
        lines = [line for line in self.server.err.splitlines() if "budget:" in line]
        self.assertEqual(len(lines), 4, self.server)

    def test_traceback_with_v(self):
        self.server.stop()
        script = phtest.native(os.path.join(HERE, "ways.lua"))
        self.server = self.start("serve", script, *self.settings, "-v")
        self.server.wait_for("serving 1 script")
        self.ask("loop")
        self.check_server()
        found = re.search(r"ways\.lua:7: budget: .*\nstack traceback:\n.*ways\.lua:7: in .*'loop'",
                          self.server.err)
        self.assertTrue(found, self.server)

    def test_one_line_without_v(self):
        self.ask("loop")
        self.check_server()
        lines = [line for line in self.server.err.splitlines() if " error " in line]
        self.assertEqual(len(lines), 1, self.server)
        self.assertRegex(lines[0], r"ways\.lua:7: budget: .* code=budget connection=1 pipe=" + self.first)
        self.assertNotIn("traceback", self.server.err)


if __name__ == "__main__":
    phtest.main()
