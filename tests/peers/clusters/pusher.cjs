// A node that speaks Pusher's protocol 7: `node pusher.cjs PORT REDIS_PORT`. Nodes that share a Redis are one
// cluster: an event that a client triggers on a private channel goes to all its other subscribers. Whether one may
// subscribe is decided by Pusher's own server library.
const Pusher = require('pusher');
const { WebSocketServer } = require('ws');
const { bus } = require('./bus.cjs');

const pusher = new Pusher({ appId: '1', key: 'app-key', secret: 'app-secret', host: '127.0.0.1' });

async function main(port, redisPort) {
  const clients = new Set();
  const tell = await bus(redisPort, (text) => {
    const { from, event, channel, data } = JSON.parse(text);
    const message = JSON.stringify({ event, channel, data });
    for (const { id, socket, channels } of clients) {
      if (id !== from && channels.has(channel)) socket.send(message);
    }
  });
  let next = 0;
  new WebSocketServer({ port, host: '127.0.0.1' }).on('connection', (socket, request) => {
    const say = (event, data, channel) => socket.send(JSON.stringify({ event, channel, data }));
    const refuse = (code, message) => say('pusher:error', { code, message });
    if (!request.url.startsWith('/app/app-key?')) {
      refuse(4001, 'Application does not exist');
      return socket.close(4001);
    }
    const client = { id: `${port}.${(next += 1)}`, socket, channels: new Set() };
    clients.add(client);
    socket.on('close', () => clients.delete(client));
    say('pusher:connection_established', JSON.stringify({ socket_id: client.id, activity_timeout: 30 }));
    socket.on('message', (text) => {
      const { event, channel, data } = JSON.parse(text);
      if (event === 'pusher:ping') return say('pusher:pong', {});
      if (event === 'pusher:subscribe') {
        const isPrivate = data.channel.startsWith('private-');
        if (isPrivate && data.auth !== pusher.authorizeChannel(client.id, data.channel).auth) {
          return refuse(4009, `Connection not authorized: ${data.auth}`);
        }
        client.channels.add(data.channel);
        return say('pusher_internal:subscription_succeeded', '{}', data.channel);
      }
      if (!event.startsWith('client-') || !client.channels.has(channel) || !channel.startsWith('private-')) {
        return refuse(4301, `Client event rejected: ${event}`);
      }
      tell(JSON.stringify({ from: client.id, event, channel, data }));
    });
  });
}

main(Number(process.argv[2]), Number(process.argv[3]));
