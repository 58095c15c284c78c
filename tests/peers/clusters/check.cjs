// Whether a peer made here is one to its protocol's own client library: `node check.cjs PROTOCOL PORT PORT` says
// something on the first node and must hear it on the second.
const WebSocket = require('ws');

const [protocol, here, there] = process.argv.slice(2);

const joined = {
  phoenix: (port, hear) =>
    new Promise((resolve, reject) => {
      const { Socket } = require('phoenix');
      const socket = new Socket(`ws://127.0.0.1:${port}/socket`, { transport: WebSocket });
      socket.connect();
      const channel = socket.channel('room:1', {});
      channel.on('new_msg', ({ body }) => hear(body));
      const say = (body) => channel.push('new_msg', { body });
      channel.join().receive('ok', () => resolve(say)).receive('error', reject);
    }),
  pusher: (port, hear) =>
    new Promise((resolve, reject) => {
      const Server = require('pusher');
      const server = new Server({ appId: '1', key: 'app-key', secret: 'app-secret', host: '127.0.0.1' });
      const Pusher = require('pusher-js');
      const client = new Pusher('app-key', {
        cluster: '',
        wsHost: '127.0.0.1',
        wsPort: port,
        forceTLS: false,
        enabledTransports: ['ws'],
        channelAuthorization: { customHandler: ({ socketId, channelName }, done) => done(null, server.authorizeChannel(socketId, channelName)) },
      });
      const channel = client.subscribe('private-room');
      channel.bind('client-message', hear);
      channel.bind('pusher:subscription_succeeded', () => resolve((text) => channel.trigger('client-message', text)));
      channel.bind('pusher:subscription_error', reject);
    }),
  centrifugo: (port, hear) =>
    new Promise((resolve, reject) => {
      const { Centrifuge } = require('centrifuge');
      const client = new Centrifuge(`ws://127.0.0.1:${port}/connection/websocket`, { websocket: WebSocket });
      const channel = client.newSubscription('room');
      channel.on('publication', ({ data }) => hear(data.text));
      channel.on('subscribed', () => resolve((text) => channel.publish({ text })));
      channel.on('error', reject);
      channel.subscribe();
      client.connect();
    }),
};

async function main() {
  const join = joined[protocol];
  let said;
  const heard = new Promise((resolve) => (said = resolve));
  await join(Number(there), said);
  const say = await join(Number(here), () => {});
  say('hello from the other node');
  if ((await heard) !== 'hello from the other node') throw new Error('something else was heard');
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
