// What Try it and Score it share: a question, and the answer to the latest alone. Follows choosing.js.
let turn = 0;

// The answers to a question, or null where there is a complaint or a later question.
async function asked(ask, question) {
  const mine = ++turn;
  busy(true);
  let reply = { answers: [], complaints: [words.lost] };
  try {
    reply = await ask(question);
  } catch {
    // The server is gone: the complaint stands already.
  }
  if (mine !== turn) return null;
  busy(false);
  complain(reply.complaints);
  return reply.complaints.length ? null : reply.answers;
}

function busy(on) {
  form.dataset.busy = on;
  put("button", on ? words.asking : words.ask);
  if (on && !find(".answers").dataset.full) put(".answers", words.asking_help);
}

function shown() {
  const answers = find(".answers");
  answers.replaceChildren();
  answers.dataset.full = "yes";
  return answers;
}

put(".line .prompt", words.prompt);
put(".scale span", words.scale);
put("button", words.ask);
