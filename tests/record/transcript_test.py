#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pipehost transcript: text, and pictures that stand alone and are whole XML."""

import html.parser
import re
import xml.etree.ElementTree

import recording
import phtest
from recording import OK, FAILED, SCRIPT_ERROR, USAGE, line

SVG = "{http://www.w3.org/2000/svg}"

NASTY = '<b>&amp;"\'\x01\x7f'

PROTOCOL = """
local pipehost = require "pipehost"
return {
  client = pipehost.struct("<", { name = "point", { "x", "I1" }, { "y", "I1" } }),
  server = pipehost.struct("<", { name = "reply", { "text", "char[4]" } }),
}
"""


class Page(html.parser.HTMLParser):
    """Each tag is closed in its order; ids and links are collected."""

    def __init__(self, test):
        super().__init__()
        self.test, self.open, self.ids, self.links, self.text = test, [], [], [], ""

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)
        self.ids += [value for key, value in attrs if key == "id"]
        self.links += [value for key, value in attrs if key in ("href", "src")]

    def handle_startendtag(self, tag, attrs):
        self.ids += [value for key, value in attrs if key == "id"]

    def handle_endtag(self, tag):
        self.test.assertEqual(self.open.pop(), tag)

    def handle_data(self, data):
        self.text += data


class Transcript(recording.Case):
    def show(self, *options):
        done = self.run_pipehost("transcript", self.path("a.rec"), *options)
        self.assertEqual(done.status, OK, done)
        self.assertEqual(done.err, "", done)
        return done.out

    def svg(self, *options):
        text = self.show("--svg", *options)
        self.assertNotRegex(text, r"https?://(?!www\.w3\.org/2000/svg)")
        self.assertNotRegex(text, "<script|@import|url\\(")
        return xml.etree.ElementTree.fromstring(text)

    def texts(self, root):
        return ["".join(node.itertext()) for node in root.iter(SVG + "text")]

    def talk(self):
        self.recording(
            "0 1 open", "1 1 > 2 01 02", "2.5 1 < 4 79 65 73 00", "400 2 open", "401 2 > 0", line(402, 2, "<", NASTY),
            line(402, 1, "<", "a very long line of text " * 10), "500 1 close client", "12000 2 close server",
            header="system linux\n",
        )  # fmt: skip

    def test_text(self):
        self.talk()
        lines = self.show().splitlines()
        self.assertEqual(
            lines[0], "Recorded · message mode, recorded on linux · 2 connections · 5 messages · 12.00 s"
        )
        self.assertRegex(lines[3], r"^ +0\.0 +1  \|the client opens +\|$")
        self.assertRegex(lines[4], r"^ +1\.0 +1  \|-- 01 02 -+ 2 bytes -->\|$")
        self.assertRegex(lines[5], r"^ +2\.5 +1  \|<-- 79 65 73 00 -+ 4 bytes --\|$")
        self.assertRegex(lines[6], r"^ +…$")
        self.assertRegex(lines[8], r"\|-- \(empty\) -+ 0 bytes -->\|$")
        self.assertRegex(lines[-1], r"^ +12000\.0 +2  \| +the server closes\|$")
        self.assertEqual({len(line) for line in lines[3:] if "|" in line}, {len(lines[4])})

    def test_text_with_structs(self):
        self.talk()
        out = self.show("--protocol", self.script(PROTOCOL, "protocol.lua"))
        self.assertIn("|-- point: x = 1, y = 2 ---", out)
        self.assertIn('|<-- reply: text = "yes" ---', out)

    def test_a_picture(self):
        self.talk()
        root = self.svg()
        texts = self.texts(root)
        for text in ("Recorded", "client 1", "client 2", "server", "open", "close", "01 02", "2 bytes", "(empty)",
                     "397.5 ms later", "12.00 s"):  # fmt: skip
            self.assertIn(text, texts)
        self.assertEqual(len(root.findall(f".//{SVG}g[@class='event']")), 9)
        # Everything lies inside, and each event below the one before.
        width, height = float(root.get("width")), float(root.get("height"))
        marks = [float(node.get("y")) for node in root.iter(SVG + "text") if node.get("text-anchor") == "end"]
        self.assertEqual(marks, sorted(marks))
        self.assertEqual(len(marks), 9)
        self.assertLess(marks[-1], height)
        for node in root.iter(SVG + "text"):
            self.assertLess(float(node.get("x")), width)
        # A long label is cut to its arrow.
        self.assertLess(max(len(text) for text in texts if text.startswith('"a very')), 70)

    def test_what_markup_cannot_have(self):
        self.talk()
        texts = "".join(self.svg().itertext())
        self.assertIn("|<b>&amp;\"'..|", texts)
        page = Page(self)
        page.feed(self.show("--html"))
        self.assertIn("|<b>&amp;\"'..|", page.text)
        self.write_file("a.rec", self.read("a.rec").replace("pipe Recorded", "pipe 100%1 <Zö>&"))
        self.assertIn("100%1 <Zö>&", self.texts(self.svg()))
        self.assertIn("<title>100%1 &lt;Zö&gt;&amp;</title>", self.show("--html"))

    def test_many_clients_share_a_line(self):
        events = []
        for i in range(1, 21):
            events += [f"{i} {i} open", line(i, i, ">", f"n{i}"), f"{i} {i} close client"]
        self.recording(*events)
        texts = self.texts(self.svg())
        self.assertIn("20 clients", texts)
        self.assertIn('#17  "n17"', texts)

    def test_a_page(self):
        self.talk()
        text = self.show("--html", "--protocol", self.script(PROTOCOL, "protocol.lua"))
        self.assertNotRegex(text, r"<script|https?://(?!www\.w3\.org/2000/svg)")
        page = Page(self)
        page.feed(text)
        self.assertEqual(page.open, [])
        self.assertEqual([i for i in page.ids if i.startswith("e")], [f"e{i}" for i in range(1, 10)])
        self.assertEqual(page.links, [f"#e{i}" for i in range(1, 10)])
        self.assertIn("the client opens the pipe", page.text)
        self.assertIn("   0  01                       x = 1", page.text)

    def test_a_recording_without_events(self):
        self.recording()
        self.assertIn("0 connections · 0 messages", self.show())
        self.svg()
        self.show("--html")

    def test_into_a_file(self):
        self.talk()
        self.assertEqual(self.show("--svg", "-o", self.path("a.svg")), "")
        xml.etree.ElementTree.fromstring(self.read("a.svg"))
        done = self.run_pipehost("transcript", self.path("a.rec"), "-o", self.path("no/folder/x"))
        self.assertEqual(done.status, FAILED, done)
        self.assertRegex(done.err, "pipehost: cannot write .*x: ")

    def test_refused(self):
        done = self.run_pipehost("transcript", self.path("no.rec"))
        self.assertEqual(done.status, SCRIPT_ERROR, done)
        self.assertRegex(done.err, "pipehost: cannot read .*no.rec")
        self.talk()
        done = self.run_pipehost("transcript", self.path("a.rec"), "--svg", "--html")
        self.assertEqual(done.status, USAGE, done)

    def test_a_real_conversation(self):
        _, target = self.serve()
        recorder, pipe = self.recorder(target, "--connections", "1")
        self.client(pipe, "one", "bye")
        recorder.wait()
        self.assertTrue(re.search(r'\|<-- "<one>" -+ 5 bytes --\|', self.show()))
        self.svg()


if __name__ == "__main__":
    phtest.main()
