// A server on npm `ws`: `node ws-server.mjs echo|broadcast [CERTIFICATE KEY]`, with these two over TLS.
//
// DEFLATE in the environment holds options of its permessage-deflate, as JSON. It prints `listening PORT` once it takes connections and ends on SIGTERM.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { WebSocketServer, WebSocket } from "ws";

const [mode, certificate, key] = process.argv.slice(2);
if (mode !== "echo" && mode !== "broadcast") {
  console.error("usage: node ws-server.mjs echo|broadcast [CERTIFICATE KEY]");
  process.exit(2);
}

const where = { host: "127.0.0.1", port: 0 };
const secure = certificate && createServer({ cert: readFileSync(certificate), key: readFileSync(key) }).listen(where);
const perMessageDeflate = process.env.DEFLATE ? JSON.parse(process.env.DEFLATE) : false;
const server = new WebSocketServer({ ...(secure ? { server: secure } : where), perMessageDeflate });
const listener = secure ?? server;
listener.on("listening", () => console.log(`listening ${listener.address().port}`));
server.on("connection", (socket) => {
  socket.on("error", (error) => console.error(`socket: ${error.message}`));
  socket.on("message", (data, isBinary) => {
    const heard = mode === "echo" ? [socket] : server.clients;
    for (const client of heard) {
      if (client.readyState === WebSocket.OPEN) client.send(data, { binary: isBinary });
    }
  });
});
process.on("SIGTERM", () => process.exit(0));
