// An ESLint rule: a failure is passed on, answered or told, never dropped. It reports a catch block without
// a statement, and a handler of a rejection that does nothing and gives nothing: .catch(() => undefined),
// .then(done, () => {}), and the same through a function that was named before.
const NOTHING = new Set(['undefined']);

/** Whether a function does nothing with what it is given, and returns nothing. */
function isIdle(node) {
  const { body } = node;
  if (body.type !== 'BlockStatement') return isNothing(body);
  return body.body.every(
    (statement) =>
      statement.type === 'EmptyStatement' ||
      (statement.type === 'ReturnStatement' &&
        (statement.argument === null || isNothing(statement.argument))),
  );
}

function isNothing(node) {
  if (node.type === 'Identifier') return NOTHING.has(node.name);
  if (node.type === 'Literal') return node.value === null;
  return node.type === 'UnaryExpression' && node.operator === 'void' && isConstant(node.argument);
}

function isConstant(node) {
  return node.type === 'Literal' || node.type === 'Identifier';
}

const FUNCTIONS = new Set(['ArrowFunctionExpression', 'FunctionExpression', 'FunctionDeclaration']);

export const noSwallow = {
  meta: {
    type: 'problem',
    schema: [],
    messages: {
      block: 'This catch drops the failure: pass it on, answer with it, or tell of it.',
      handler: 'This handler drops the failure: pass it on, answer with it, or tell of it.',
    },
  },
  create(context) {
    const { sourceCode } = context;

    /** The function that an argument is, or names. */
    function functionOf(node) {
      if (node === undefined) return null;
      if (FUNCTIONS.has(node.type)) return node;
      if (node.type !== 'Identifier') return null;
      for (let scope = sourceCode.getScope(node); scope !== null; scope = scope.upper) {
        const definition = scope.set.get(node.name)?.defs[0]?.node;
        if (definition === undefined) continue;
        const value = definition.type === 'VariableDeclarator' ? definition.init : definition;
        return value !== null && FUNCTIONS.has(value.type) ? value : null;
      }
      return null;
    }

    return {
      CatchClause(node) {
        const idle = node.body.body.every(({ type }) => type === 'EmptyStatement');
        if (idle) context.report({ node, messageId: 'block' });
      },
      CallExpression(node) {
        const { callee } = node;
        if (callee.type !== 'MemberExpression' || callee.property.type !== 'Identifier') return;
        const place = { catch: 0, then: 1 }[callee.property.name];
        const handler = place === undefined ? null : functionOf(node.arguments[place]);
        if (handler !== null && isIdle(handler)) context.report({ node, messageId: 'handler' });
      },
    };
  },
};
