// What makes nodes one cluster: `bus(REDIS_PORT, hear)` gives a function that tells every node a text.
const { createClient } = require('redis');

exports.bus = async (redisPort, hear) => {
  const publisher = createClient({ url: `redis://127.0.0.1:${redisPort}` });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  await subscriber.subscribe('bus', hear);
  return (text) => publisher.publish('bus', text);
};
