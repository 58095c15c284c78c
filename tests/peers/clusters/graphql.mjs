// A node that speaks graphql-transport-ws: `node graphql.mjs PORT`. Every text that the mutation `say`
// takes goes to every subscription `heard`.
import { GraphQLSchema, GraphQLObjectType, GraphQLString } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

const listeners = new Set();

async function* heard() {
  const queue = [];
  let wake = () => {};
  const listener = (text) => {
    queue.push(text);
    wake();
  };
  listeners.add(listener);
  try {
    for (;;) {
      while (queue.length) yield { heard: queue.shift() };
      await new Promise((resolve) => (wake = resolve));
    }
  } finally {
    listeners.delete(listener);
  }
}

const text = { type: GraphQLString };
const schema = new GraphQLSchema({
  query: new GraphQLObjectType({ name: 'Query', fields: { ready: text } }),
  mutation: new GraphQLObjectType({
    name: 'Mutation',
    fields: {
      say: {
        type: GraphQLString,
        args: { text },
        resolve: (_, args) => {
          listeners.forEach((listener) => listener(args.text));
          return 'said';
        },
      },
    },
  }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: { heard: { type: GraphQLString, subscribe: heard } },
  }),
});

useServer({ schema }, new WebSocketServer({ port: Number(process.argv[2]), host: '127.0.0.1', path: '/graphql' }));
