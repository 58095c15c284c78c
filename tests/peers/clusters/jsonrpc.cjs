// A node of JSON-RPC 2.0 with subscriptions, by rpc-websockets: `node jsonrpc.cjs PORT REDIS_PORT`. Nodes that share
// a Redis are one cluster: what `publish` is called with goes to all who subscribed to `room`.
const { Server } = require('rpc-websockets');
const { bus } = require('./bus.cjs');

async function main(port, redisPort) {
  const server = new Server({ port, host: '127.0.0.1' });
  const tell = await bus(redisPort, (text) => server.emit('room', text));
  server.event('room');
  server.register('publish', ([text]) => {
    tell(text);
    return 'published';
  });
}

main(Number(process.argv[2]), Number(process.argv[3]));
