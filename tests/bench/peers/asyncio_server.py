#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: asyncio_server.py PATH [--exchange]: the server on Python's asyncio,
with protocols, its fastest interface."""

import asyncio
import struct
import sys

ANSWER = struct.pack("<i", 3)


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Exchange(Echo):
    def data_received(self, data):
        if struct.unpack("<I", data)[0] == 1:
            self.transport.write(ANSWER)
        else:
            self.transport.close()


async def main():
    protocol = Exchange if "--exchange" in sys.argv else Echo
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(protocol, sys.argv[1], backlog=4096)
    print("listening", flush=True)
    await server.serve_forever()


asyncio.run(main())
