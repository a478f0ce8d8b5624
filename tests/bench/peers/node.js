// SPDX-License-Identifier: MIT
// usage: node node.js PATH [--exchange]: the server on Node's net module.
"use strict";
const net = require("net");

const answer = Buffer.alloc(4);
answer.writeInt32LE(3);

function echo(client) {
  client.on("data", (data) => client.write(data));
}

function exchange(client) {
  client.on("data", (data) => {
    if (data.readUInt32LE(0) === 1) client.write(answer);
    else client.end();
  });
}

const serve = process.argv[3] === "--exchange" ? exchange : echo;
const server = net.createServer((client) => {
  client.on("error", () => client.destroy());
  serve(client);
});
server.listen({ path: process.argv[2], backlog: 4096 }, () => console.log("listening"));
