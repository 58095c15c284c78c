// A server on npm `ws`: `node ws-server.mjs echo|broadcast`.
//
// It prints `listening PORT` once it takes connections and ends on SIGTERM.
import { WebSocketServer, WebSocket } from "ws";

const [mode] = process.argv.slice(2);
if (mode !== "echo" && mode !== "broadcast") {
  console.error("usage: node ws-server.mjs echo|broadcast");
  process.exit(2);
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
server.on("listening", () => console.log(`listening ${server.address().port}`));
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
