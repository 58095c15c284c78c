// A node that speaks Phoenix channels: `node phoenix.cjs PORT REDIS_PORT`. Nodes that share a Redis are one
// cluster: what is pushed to a topic goes to every socket that joined it, the sender included, and a reply to the
// sender. It reads and writes with the serializer of Phoenix's own package, whose client it is checked with.
const { Serializer } = require('phoenix');
const { WebSocketServer } = require('ws');
const { bus } = require('./bus.cjs');

async function main(port, redisPort) {
  const joined = new Set();
  const tell = await bus(redisPort, (text) => {
    const { topic, event, payload } = JSON.parse(text);
    Serializer.encode({ join_ref: null, ref: null, topic, event, payload }, (message) => {
      for (const { socket, topics } of joined) if (topics.has(topic)) socket.send(message);
    });
  });
  new WebSocketServer({ port, host: '127.0.0.1', path: '/socket/websocket' }).on('connection', (socket) => {
    const client = { socket, topics: new Set() };
    // As the real one: who is silent for a minute is gone.
    let silence = setTimeout(() => socket.close(1002), 60_000);
    joined.add(client);
    socket.on('close', () => joined.delete(client));
    socket.on('message', (data) => {
      silence.refresh();
      Serializer.decode(data.toString(), ({ join_ref, ref, topic, event, payload }) => {
        const reply = (status, response) => {
          const said = { join_ref, ref, topic, event: 'phx_reply', payload: { status, response } };
          Serializer.encode(said, (message) => socket.send(message));
        };
        if (event === 'heartbeat') return reply('ok', {});
        if (event === 'phx_join') {
          if (topic.startsWith('private:')) return reply('error', { reason: 'unauthorized' });
          client.topics.add(topic);
          return reply('ok', {});
        }
        if (!client.topics.has(topic)) return reply('error', { reason: 'unmatched topic' });
        reply('ok', payload);
        tell(JSON.stringify({ topic, event, payload }));
      });
    });
  });
}

main(Number(process.argv[2]), Number(process.argv[3]));
