// A node that speaks Centrifugo's JSON protocol: `node centrifugo.cjs PORT REDIS_PORT`. Nodes that share a Redis are
// one cluster: what is published to a channel goes to all its subscribers, the publisher included. Several replies
// go into one frame, a line each, as Centrifugo batches them.
const { WebSocketServer } = require('ws');
const { bus } = require('./bus.cjs');

async function main(port, redisPort) {
  const clients = new Set();
  const tell = await bus(redisPort, (text) => {
    const { channel, data } = JSON.parse(text);
    const push = JSON.stringify({ push: { channel, pub: { data } } });
    for (const { say, channels } of clients) if (channels.has(channel)) say(push);
  });
  new WebSocketServer({ port, host: '127.0.0.1', path: '/connection/websocket' }).on('connection', (socket) => {
    let lines = [];
    const say = (line) => {
      if (lines.push(line) > 1) return;
      setImmediate(() => {
        socket.send(lines.join('\n'));
        lines = [];
      });
    };
    const client = { say, channels: new Set() };
    clients.add(client);
    // As the real one: who does not answer a ping is gone.
    let awaited = 0;
    const asking = setInterval(() => {
      if ((awaited += 1) > 2) return socket.close(3012, 'no pong');
      say('{}');
    }, 2000);
    socket.on('close', () => {
      clearInterval(asking);
      clients.delete(client);
    });
    socket.on('message', (text) => {
      for (const line of text.toString().split('\n')) {
        const command = JSON.parse(line);
        const { id, connect, subscribe, publish } = command;
        const reply = (more) => say(JSON.stringify({ id, ...more }));
        if (connect) {
          reply({ connect: { client: 'c', version: '6', ping: 2, pong: true } });
        } else if (subscribe?.channel.startsWith('$')) {
          reply({ error: { code: 103, message: 'permission denied' } });
        } else if (subscribe) {
          client.channels.add(subscribe.channel);
          reply({ subscribe: {} });
        } else if (publish) {
          reply({ publish: {} });
          tell(JSON.stringify(publish));
        } else if (!Object.keys(command).length) {
          awaited = 0;
        }
      }
    });
  });
}

main(Number(process.argv[2]), Number(process.argv[3]));
