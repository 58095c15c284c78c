// A chat of a protocol that nobody else speaks: `node lounge.cjs PORT`. Lines of words: it greets with a nonce, takes a
// login that repeats it and a room, passes on what is said with a number and the name of who said it, and asks
// every second whether somebody is there.
const { WebSocketServer } = require('ws');

const rooms = new Map();
let said = 0;

new WebSocketServer({ port: Number(process.argv[2]), host: '127.0.0.1', path: '/lounge' }).on('connection', (socket) => {
  const nonce = Math.random().toString(36).slice(2);
  let name, room, silent = 0;
  const refuse = (why) => {
    socket.send(`NO ${why}`);
    socket.close(4000, why);
  };
  const asking = setInterval(() => {
    if ((silent += 1) > 3) return refuse('you fell asleep');
    socket.send('THERE?');
  }, 1000);
  socket.on('close', () => {
    clearInterval(asking);
    rooms.get(room)?.delete(socket);
  });
  socket.send(`HELLO, this is the lounge; nonce=${nonce}; please log in`);
  socket.on('message', (data) => {
    const [word, ...rest] = data.toString().split(' ');
    if (word === 'YES') silent = 0;
    else if (word === 'LOGIN' && rest[1] === nonce) socket.send(`OK ${(name = rest[0])}`);
    else if (word === 'LOGIN') refuse('that is not the nonce');
    else if (!name) refuse('log in first');
    else if (word === 'ENTER') {
      room = rest[0];
      rooms.set(room, (rooms.get(room) ?? new Set()).add(socket));
      socket.send(`OK ${room}`);
    } else if (word === 'SAY' && room) {
      const text = rest.join(' ');
      socket.send(`OK ${text}`);
      for (const hearer of rooms.get(room)) hearer.send(`#${(said += 1)} ${name}: ${text}`);
    } else refuse(`what is ${word}?`);
  });
});
