// A Socket.IO node: `node socketio.cjs PORT REDIS_PORT`. Nodes that share a Redis are one cluster:
// what a client sends as "message" goes to every client of every node, the sender included.
const { createServer } = require('node:http');
const { Server } = require('socket.io');
const { createAdapter } = require('@socket.io/redis-adapter');
const { createClient } = require('redis');

async function main(port, redisPort) {
  const publisher = createClient({ url: `redis://127.0.0.1:${redisPort}` });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  const http = createServer();
  // Short, so that a run of seconds is asked for its Pongs.
  const io = new Server(http, { adapter: createAdapter(publisher, subscriber), pingInterval: 2000, pingTimeout: 1500 });
  io.on('connection', (socket) => socket.on('message', (text) => io.emit('message', text)));
  http.listen(port, '127.0.0.1');
}

main(Number(process.argv[2]), Number(process.argv[3]));
