//! What the guide listens for and what it says.

pub(super) const SESSIONS_ASKED: &[&str] = &[
    "sessions",
    "conversations",
    "list my chats",
    "my chats",
    "/sessions",
];
pub(super) const SESSIONS_OPENING: &str =
    "Let me look that up with a real tool, `sessions_list`.\n\n";
pub(super) const SESSIONS_TOLD: &str = "\
These are the conversations this gateway keeps:

{{result_list}}

That was a real tool call: policy allowed it because the tool only reads, and the call is in the \
event log (`instar events tail`). Export one with `instar sessions export <key>`.";

pub(super) const STATUS_ASKED: &[&str] = &[
    "status",
    "how are you doing",
    "which model is this",
    "what model is this",
];
pub(super) const STATUS_OPENING: &str = "I'll ask the tool `session_status`.\n\n";
pub(super) const STATUS_TOLD: &str = "\
This conversation, as the gateway sees it:

{{result_list}}

For the whole gateway run `instar status`; `instar doctor` says what could be better.";

pub(super) const DELETION_ASKED: &[&str] = &[
    "delete my files",
    "delete all my files",
    "delete everything",
    "delete files",
    "rm -rf",
    "rm",
    "run a command",
    "run command",
    "run the command",
    "execute",
    "exec",
    "shell",
    "terminal",
    "show me a refusal",
    "refusal",
    "refuse",
    "something dangerous",
];
pub(super) const DELETION_OPENING: &str = "\
Let's see what happens when a model is talked into that. I'll ask for the tool `delete_everything` with your \
words.\n\n";
pub(super) const REFUSAL_TOLD: &str = "\
**Refused, as it should be.** The gateway answered:

{{result_list}}

What you just saw: I asked, and plain code said no. A model cannot reach a tool by itself; every \
call needs a permit, and only policy can make one. Nothing was run and nothing was changed. The \
refusal is in the event log: `instar events tail`.";
pub(super) const FAILURE_TOLD: &str = "\
The tool did not give a result. The gateway answered:

{{result_list}}

`instar logs` has the details.";
pub(super) const RESULT_TOLD: &str = "The tool answered:\n\n{{result_list}}";
pub(super) const NO_TOOLS: &str = "\
I would show you that with a tool, but none was offered to me on this way in. Try it in the web \
chat or with `instar agent --message`. (I am a scripted guide, not a language model.)";

pub(super) const GREETING_ASKED: &[&str] = &[
    "hello",
    "hi",
    "hey",
    "hello there",
    "good morning",
    "good afternoon",
    "good evening",
    "greetings",
    "yo",
];
pub(super) const GREETING: &str = "\
Hello, and welcome to **Instar**. It runs, and you are talking to it.

I am its *scripted* guide: a small program with prepared answers, **not a language model**. I work \
offline, so that you can look around before you connect one. Try:

- `what can you do?`
- `which sessions do I have?` (a real tool call)
- `delete my files` (a real refusal)
- `what did you learn?`
- `how do I connect a model?`";

pub(super) const FALLBACK: &str = "\
I don't have an answer for that: I am a *scripted* guide, **not a language model**, and only know \
a few topics. To talk freely, connect a real model:

```sh
instar models set openai/gpt-5     # or anthropic/…, ollama/…
instar secrets set OPENAI_API_KEY
```

Or try one of these: `what can you do?`, `which sessions do I have?`, `delete my files`, \
`what did you learn?`, `show me markdown`, `tell me a long story`.";

pub(super) const FALLBACK_RU: &str = "\
Здравствуйте! Это **Instar**, он уже работает. Я не языковая модель, а *сценарий*: небольшая \
программа с готовыми ответами, которая работает без сети. Подробнее я отвечаю по-английски.

Чтобы говорить свободно, подключите настоящую модель:

```sh
instar models set openai/gpt-5     # или anthropic/…, ollama/…
instar secrets set OPENAI_API_KEY
```

Попробуйте: `which sessions do I have?` (настоящий вызов инструмента) или `delete my files` \
(настоящий отказ).";

pub(super) const FALLBACK_ZH: &str = "\
你好!这里是 **Instar**,它已经在运行。我不是语言模型,而是一个*脚本*:一个离线工作、只有预设回答的小程序。\
更详细的内容我用英文回答。

想自由对话,请连接一个真正的模型:

```sh
instar models set openai/gpt-5     # 或 anthropic/…、ollama/…
instar secrets set OPENAI_API_KEY
```

可以试试:`which sessions do I have?`(真实的工具调用)或 `delete my files`(真实的拒绝)。";

pub(super) const IMAGE: &str = "\
Your picture arrived ({{images}} in this conversation). I cannot look at it: I am a scripted \
guide. A model that reads images can; `instar models list` shows what you could connect.";

pub(super) const LONG_ASKED: &[&str] = &[
    "long story",
    "long answer",
    "long text",
    "tell me a story",
    "story",
    "stream",
    "streaming",
];
pub(super) const LONG_OPENING: &str = "\
Here is a long answer, so that you can watch it stream, scroll while it does, or press stop.\n\n";
pub(super) const LONG_PARAGRAPH: &str = "\
A caterpillar eats until its skin no longer fits. Then it rests, and under the old skin a new and \
wider one is made, tried and hardened. Only when the new one holds is the old one shed. The stage \
between two such changes is called an instar. Nothing about the animal is rushed, and nothing is \
thrown away before what comes next has shown that it holds.\n\n";
pub(super) const LONG_CLOSING: &str = "\
That was a dozen times the same paragraph: I am scripted, after all.";

/// Phrases and the answer for them, the most particular first.
pub(super) const TOPICS: &[(&[&str], &str)] = &[
    (
        &["ollama", "llama.cpp", "local model", "lm studio"],
        LOCAL_MODEL,
    ),
    (&["openai", "gpt", "chatgpt"], OPENAI),
    (&["anthropic", "claude"], ANTHROPIC),
    (
        &[
            "connect a model",
            "connect model",
            "connect a real model",
            "real model",
            "api key",
            "set up a model",
            "change the model",
            "use another model",
            "which models",
            "models",
        ],
        CONNECT,
    ),
    (
        &[
            "what did you learn",
            "what have you learned",
            "lesson",
            "lessons",
            "learn",
            "teach",
            "improve",
            "get better",
        ],
        LEARNT,
    ),
    (
        &["remember that", "remember this", "remember", "don't forget"],
        REMEMBER,
    ),
    (
        &["markdown", "formatting", "table", "code block", "show off"],
        MARKDOWN,
    ),
    (
        &[
            "who are you",
            "what are you",
            "are you an ai",
            "are you real",
            "your name",
            "are you a bot",
        ],
        WHO,
    ),
    (&["what is instar", "instar"], WHAT_IS),
    (
        &[
            "safe", "secure", "security", "privacy", "private", "my data",
        ],
        SAFETY,
    ),
    (&["cost", "price", "budget", "expensive"], COST),
    (
        &[
            "what can you do",
            "what can i do",
            "help",
            "how does this work",
            "commands",
            "/help",
            "what now",
            "test",
        ],
        HELP,
    ),
    (&["thanks", "thank you", "thx"], THANKS),
    (&["bye", "goodbye", "see you"], BYE),
    (
        &["привет", "здравствуй", "здравствуйте", "помощь", "помоги"],
        FALLBACK_RU,
    ),
    (&["你好", "您好", "帮助"], FALLBACK_ZH),
];

const CONNECT: &str = "\
Two commands, then talk to it right here:

```sh
instar secrets set OPENAI_API_KEY    # asks for the key; stored encrypted
instar models set openai/gpt-5       # any provider/model
```

`instar models list` shows every known provider, `instar models probe` checks that one answers. \
A key in the environment (`OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, …) or a running Ollama is found \
by itself at the next `instar up`. Ask me about *Ollama*, *OpenAI* or *Anthropic* for more.";

const LOCAL_MODEL: &str = "\
A local model needs no key and nothing leaves your machine:

```sh
ollama pull qwen3
instar models set ollama/qwen3
```

A running Ollama, llama.cpp or Docker Model Runner is also found by itself when `instar up` starts \
with no model set. `instar models probe` tells whether it answers.";

const OPENAI: &str = "\
```sh
instar secrets set OPENAI_API_KEY
instar models set openai/gpt-5
```

The key is stored encrypted and never appears in the config, the log or a prompt. It works the \
other way round too: any OpenAI client can talk to *this* gateway at `/v1` on its own address.";

const ANTHROPIC: &str = "\
```sh
instar secrets set ANTHROPIC_API_KEY
instar models set anthropic/claude-sonnet-4-5
```

The key is stored encrypted and never appears in the config, the log or a prompt. \
`instar models probe` tells whether it works.";

const LEARNT: &str = "\
Nothing yet, and I will not pretend: I am scripted, and this page is a **demonstration** of how a \
lesson would be learnt. With a real model it goes like this:

1. **A fault shows.** The tool `search` fails 4 times out of 10, each time because a date was \
written `3/4/26`.
2. **A lesson is proposed.** *Write dates as 2026-04-03.* One sentence, one signed change.
3. **A coin decides.** For each new occasion the lesson is switched on or off at random, and both \
outcomes are counted.
4. **The numbers speak.** For example:

| lesson | occasions | failures |
| --- | --- | --- |
| off | 40 | 16 |
| on | 40 | 3 |

5. **Kept or taken back.** Only a difference that chance does not explain is called proven. One \
that does harm is taken back by itself.

The numbers above are an example, not a measurement.";

const REMEMBER: &str = "\
Your words are kept in this conversation's transcript, but I am a *scripted* guide: I cannot act \
on them. A lesson from a real model would be one short sentence with counters of how often it \
helped and hurt, tried at random, and kept only if the numbers say so. Ask `what did you learn?` \
for a worked example.";

const MARKDOWN: &str = "\
## What Markdown looks like here

Text can be **bold**, *slanted*, `code`, or [a link](https://example.com).

1. Lists with numbers
2. and with
   - points inside

> A quotation, for words that are not mine.

```rust
fn main() {
    println!(\"scripted, but honest\");
}
```

| what | where |
| --- | --- |
| config | `instar config file` |
| health | `instar doctor` |";

const WHO: &str = "\
I am the *scripted* guide that comes with Instar: a list of prepared answers, **not a language \
model** and not a person. I am here so that the first minute is not an error message. Say \
`how do I connect a model?` and somebody cleverer can take over.";

const WHAT_IS: &str = "\
**Instar** is a gateway for your own AI agent, on your own machine. It answers where you talk, \
keeps the conversation, and uses tools behind walls: what a model may do is decided by plain code, \
not by the model. It improves in small steps that are measured, and takes back what does not hold.

I am only its scripted guide. Ask `what can you do?`";

const SAFETY: &str = "\
In short:

- The gateway listens on this machine only, unless you say otherwise.
- Keys are stored encrypted and never reach a prompt or a log.
- A model cannot run a tool; it can ask, and policy decides. Say `delete my files` to see it refuse.
- As long as you talk to me, nothing leaves this machine: I am a script and work offline.";

const COST: &str = "\
I cost nothing: I am a script. With a real model every call is counted; `instar usage` shows it by \
day and model, and a budget in the config warns first and then stops.";

const HELP: &str = "\
I am a *scripted* guide, not a language model, and this is what I can show you:

- `which sessions do I have?`: a real tool call
- `status`: another one
- `delete my files`: policy refuses a model
- `what did you learn?`: how a lesson would be proven
- `show me markdown` and `tell me a long story`: how answers look and stream
- `how do I connect a model?`: for answers to everything else

In every conversation: `/new`, `/status`, `/model`, `/stop`, `/help`. In the terminal: \
`instar --help`.";

const THANKS: &str = "\
You're welcome! When you are ready for more than a scripted guide: `how do I connect a model?`";

const BYE: &str =
    "Goodbye! The gateway keeps running until you stop it; your scripted guide waits here.";
