//! The words of setting up, in each language, one row each. Whoever adds a language fills every row,
//! or it does not compile.

macro_rules! words {
    ($($name:ident: $en:literal, $ru:literal, $zh:literal;)*) => {
        /// The words of one language; `{}` is where a name goes.
        #[derive(Debug)]
        pub struct Words {
            $(pub $name: &'static str,)*
        }

        static ENGLISH: Words = Words { $($name: $en,)* };
        static RUSSIAN: Words = Words { $($name: $ru,)* };
        static CHINESE: Words = Words { $($name: $zh,)* };

        #[cfg(test)]
        const ROWS: &[(&str, [&str; 3])] = &[$((stringify!($name), [$en, $ru, $zh]),)*];
    };
}

/// A language in which setting up can be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tongue {
    #[default]
    English,
    Russian,
    Chinese,
}

impl Tongue {
    /// The language of a tag (`zh-Hans`) or of a locale (`ru_RU.UTF-8`); English for the others.
    #[must_use]
    pub fn named(tag: &str) -> Self {
        match tag.split(['-', '_', '.']).next() {
            Some("ru") => Self::Russian,
            Some("zh") => Self::Chinese,
            _ => Self::English,
        }
    }

    /// Its words.
    #[must_use]
    pub fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Russian => &RUSSIAN,
            Self::Chinese => &CHINESE,
        }
    }
}

/// Puts a name where the row wants one.
#[must_use]
pub fn filled(row: &str, name: &str) -> String {
    row.replacen("{}", name, 1)
}

words! {
    // The risks.
    risk_title: "I understand this and want to go on", "Я понимаю это и хочу продолжить", "我已了解并愿意继续";
    risk: "Instar lets a language model read what it is sent and act through tools, on your behalf.\n\n- Assume that the model can be talked into anything by a text that it reads. What it may do is decided by plain code, and by what you allow.\n- Whoever has the token or a sign-in link talks to your agent as you. Keep the port on this machine, or behind a proxy that signs people in.\n- What you write goes to the model that you choose. If it runs elsewhere, your messages leave this machine, and calls may cost money; `models.budget` sets limits.\n- The state folder holds your conversations. Keep it and its backups to yourself.", "Instar позволяет языковой модели читать присланное и действовать через инструменты от вашего имени.\n\n- Считайте, что прочитанный текст может уговорить модель на что угодно. Что ей можно, решает обычный код и то, что разрешили вы.\n- Тот, у кого есть токен или ссылка для входа, говорит с агентом как вы. Держите порт на этой машине или за прокси, который проверяет людей.\n- Написанное уходит той модели, которую вы выберете. Если она работает не здесь, сообщения покидают эту машину, а вызовы могут стоить денег; пределы задаёт `models.budget`.\n- В папке состояния лежат ваши беседы. Не отдавайте никому ни её, ни её копии.", "Instar 让语言模型阅读收到的内容，并通过工具代您行事。\n\n- 请假定模型读到的文字可以说服它做任何事。它能做什么由普通代码和您的许可决定。\n- 持有令牌或登录链接的人会以您的身份与代理对话。请让端口只留在本机，或放在负责登录的代理之后。\n- 您写的内容会发给您选择的模型。如果它在别处运行，消息会离开本机，调用可能产生费用；`models.budget` 可设上限。\n- 状态文件夹保存着您的会话。请妥善保管它和它的备份。";
    // The agent's folder.
    workspace: "Workspace folder", "Рабочая папка", "工作区文件夹";
    workspace_about: "It holds the files that tell the agent who it is and who you are.", "В ней файлы, по которым агент знает, кто он и кто вы.", "其中的文件告诉代理它是谁、您是谁。";
    folder_from_root: "name the folder from the root on, or beginning with ~/", "назовите папку от корня или начиная с ~/", "请从根目录写起，或以 ~/ 开头";
    // The model.
    model: "Which model is to answer?", "Какая модель будет отвечать?", "由哪个模型回答？";
    keep: "Keep {}", "Оставить {}", "保留 {}";
    keep_hint: "as it is set up now", "как настроено сейчас", "按当前设置";
    local_hint: "{}, on this machine; nothing leaves it", "{}, на этой машине; ничто её не покидает", "{}，在本机；内容不会外传";
    another_vendor: "Another vendor", "Другой поставщик", "其他供应商";
    own_server: "A server of my own", "Мой сервер", "我自己的服务器";
    own_server_hint: "any server that speaks the format of OpenAI, Anthropic or Ollama", "любой сервер с форматом OpenAI, Anthropic или Ollama", "任何兼容 OpenAI、Anthropic 或 Ollama 格式的服务器";
    later: "Decide later", "Решить позже", "以后再定";
    later_hint: "until then a scripted guide answers, offline", "до тех пор отвечает сценарный помощник, без сети", "在此之前由离线的脚本向导回答";
    vendor: "Which vendor?", "Какой поставщик?", "哪个供应商？";
    needs_key: "needs a key", "нужен ключ", "需要密钥";
    key_is_in: "its key is in {}", "ключ лежит в {}", "密钥在 {} 中";
    key_is_there: "its key is there", "ключ есть", "已有密钥";
    runs_here: "runs on this machine", "работает на этой машине", "在本机运行";
    store_key: "Keep a copy of the key in the encrypted store?", "Сохранить копию ключа в зашифрованном хранилище?", "在加密存储中保留一份密钥？";
    store_key_about: "{} is set in this terminal. A service started by the system does not see it.", "{} задана в этом терминале. Служба, запущенная системой, её не видит.", "{} 在此终端中已设置，但系统启动的服务看不到它。";
    the_environment: "the environment", "переменная окружения", "环境变量";
    key: "Key for {}", "Ключ для {}", "{} 的密钥";
    the_vendor: "the vendor", "поставщика", "供应商";
    key_about: "It goes into the encrypted store; nothing shows it again.", "Он попадёт в зашифрованное хранилище и больше нигде не покажется.", "它会存入加密存储，之后不再显示。";
    key_given: "Leave it empty to keep the one that you gave; type - for none.", "Оставьте пустым, чтобы сохранить введённый; - значит без ключа.", "留空则保留您已输入的；输入 - 表示不用密钥。";
    key_needed: "a key is needed; go back to choose another", "нужен ключ; вернитесь, чтобы выбрать другое", "需要密钥；可返回另选";
    model_name: "Name of the model, as the vendor writes it", "Название модели, как его пишет поставщик", "模型名称（按供应商的写法）";
    vendor_model: "Which of its models?", "Какую из его моделей?", "使用哪个模型？";
    other_model: "Another, by its name", "Другую, по названию", "其他，按名称";
    base_url: "Address of the server", "Адрес сервера", "服务器地址";
    base_url_about: "With the path before /chat/completions or /messages.", "С путём до /chat/completions или /messages.", "包含 /chat/completions 或 /messages 之前的路径。";
    format: "Which format does it speak?", "Какой у него формат?", "它使用哪种格式？";
    format_openai_hint: "vLLM, llama.cpp, LM Studio and most others", "vLLM, llama.cpp, LM Studio и большинство других", "vLLM、llama.cpp、LM Studio 及大多数";
    format_ollama: "Ollama's own", "Собственный формат Ollama", "Ollama 自有格式";
    server_key: "Key for the server, if it wants one", "Ключ для сервера, если он нужен", "服务器密钥（如需要）";
    server_model: "Name of the model, as the server knows it", "Название модели, как его знает сервер", "模型名称（按服务器的写法）";
    provider: "A short name for the server", "Короткое имя для сервера", "服务器的简称";
    provider_about: "The model is then called NAME/MODEL.", "Модель будет называться ИМЯ/МОДЕЛЬ.", "之后模型称为 名称/模型。";
    // What the model said.
    verdict: "The model did not answer. What now?", "Модель не ответила. Что делать?", "模型没有回答。怎么办？";
    said_auth: "The vendor refused the key.", "Поставщик не принял ключ.", "供应商拒绝了密钥。";
    said_quota: "The account at the vendor has no credit or quota left.", "На счету у поставщика кончились средства или квота.", "供应商账户的余额或配额已用完。";
    said_rate: "The vendor limits how often it is called. Wait a minute.", "Поставщик ограничивает частоту вызовов. Подождите минуту.", "供应商限制了调用频率。请等一分钟。";
    said_network: "The connection failed. Does the server run, and does the network reach it?", "Соединение не удалось. Работает ли сервер и доступна ли сеть?", "连接失败。服务器在运行吗？网络可达吗？";
    said_server: "The server has a problem on its side. Try again in a minute.", "Неполадка на стороне сервера. Попробуйте через минуту.", "服务器自身出现问题。请稍后再试。";
    said_malformed: "The answer cannot be read. Does the server speak the chosen format?", "Ответ не читается. Тот ли формат у сервера?", "无法读取回答。服务器使用的是所选格式吗？";
    said_timeout: "There was no answer in time.", "Ответ не пришёл вовремя.", "未能及时收到回答。";
    said_refused: "The request was not accepted. Is the name of the model right, and may the key use it?", "Запрос не принят. Верно ли название модели, и доступна ли она с этим ключом?", "请求未被接受。模型名称正确吗？密钥有权使用它吗？";
    said_budget: "The spending limit is reached; no model was called.", "Предел расходов достигнут, модель не вызывалась.", "已达到花费上限，未调用模型。";
    asked_at: "It was asked at {} - is the address right, with its port and its path?", "Запрос шёл на {} - верны ли адрес, порт и путь?", "请求发往 {} - 地址、端口和路径是否正确？";
    again: "Try again", "Попробовать ещё раз", "重试";
    correct: "Correct what you gave", "Исправить введённое", "修改已填写的内容";
    correct_hint: "address, key and names stay as you typed them", "адрес, ключ и названия останутся как введены", "地址、密钥和名称保持您输入的内容";
    change: "Choose another, or describe it anew", "Выбрать другую или описать заново", "另选，或重新描述";
    use_it: "Use it all the same", "Использовать всё равно", "仍然使用";
    use_it_hint: "messages fail until it answers", "сообщения не пройдут, пока она не ответит", "在它回答之前消息会失败";
    // Port and service.
    port: "Port", "Порт", "端口";
    port_refused: "a port is a number from 1 to 65535", "порт — число от 1 до 65535", "端口是 1 到 65535 的数字";
    port_taken: "port {} is taken; choose another", "порт {} занят; выберите другой", "端口 {} 已被占用；请换一个";
    service_elsewhere: "this cannot be done from here; use `instar gateway install`", "отсюда это не сделать; выполните `instar gateway install`", "此处无法完成；请运行 `instar gateway install`";
    bind: "Who may reach the port?", "Кому доступен порт?", "谁可以访问该端口？";
    loopback: "This machine only", "Только этой машине", "仅本机";
    loopback_hint: "reach it from elsewhere through an SSH tunnel or a proxy on this machine", "с других машин — через туннель SSH или прокси на этой", "其他机器可经 SSH 隧道或本机代理访问";
    lan: "Every address of this machine", "Все адреса этой машины", "本机所有地址";
    lan_hint: "only behind a proxy that speaks TLS and signs people in", "только за прокси с TLS и входом людей", "仅限位于提供 TLS 和登录的代理之后";
    as_it_is: "The address in gateway.customBindHost", "Адрес из gateway.customBindHost", "gateway.customBindHost 中的地址";
    lan_refused: "this listener speaks no TLS: first set up a proxy that does and signs people in (gateway.auth.mode trusted-proxy, see the guide), or use an SSH tunnel", "этот порт не умеет TLS: сначала поставьте прокси с TLS и входом людей (gateway.auth.mode trusted-proxy, см. руководство) или используйте туннель SSH", "此端口不支持 TLS：请先设置提供 TLS 和登录的代理（gateway.auth.mode trusted-proxy，见指南），或使用 SSH 隧道";
    at_restart: "It takes effect when the gateway is started again.", "Вступит в силу после перезапуска шлюза.", "重启网关后生效。";
    service_anew: "Write the service anew and start it?", "Записать службу заново и запустить?", "重新写入服务并启动？";
    service: "Run it as a service, from now on?", "Запускать как службу?", "以后作为服务运行？";
    service_about: "{} then starts it when you log in, and again when it fails.", "{} будет запускать его при входе и после сбоя.", "{} 会在您登录时启动它，出错后重启。";
    the_system: "the system", "Система", "系统";
    // What does not do as an answer.
    first_question: "this is the first question", "это первый вопрос", "这是第一个问题";
    nothing_asked: "nothing is asked at the moment", "сейчас ничего не спрашивается", "目前没有问题";
    no_secret_asked: "no secret is asked for here", "секрет здесь не нужен", "这里不需要密钥";
    yes_or_no: "answer yes or no", "ответьте да или нет", "请回答是或否";
    a_text: "answer with a text", "ответьте текстом", "请用文字回答";
    too_long: "this is too long for an answer", "слишком длинно для ответа", "回答过长";
    one_option: "choose one of the options", "выберите один из вариантов", "请选择其中一项";
    one_line: "an answer is one line of plain text", "ответ — одна строка простого текста", "回答应为一行纯文本";
    no_vendor: "{} is not a vendor that Instar knows", "поставщик {} неизвестен Instar", "Instar 不认识供应商 {}";
    no_model_name: "{} is not provider/model; write it like openai/gpt-5 or ollama/qwen3", "{} — не поставщик/модель; пишите как openai/gpt-5 или ollama/qwen3", "{} 不是 供应商/模型；请写成 openai/gpt-5 或 ollama/qwen3";
    no_server_model: "the server's name for the model is missing", "не хватает названия модели на сервере", "缺少服务器上的模型名称";
    no_address: "this is no address; write it like http://192.168.1.20:8000/v1", "это не адрес; пишите как http://192.168.1.20:8000/v1", "这不是地址；请写成 http://192.168.1.20:8000/v1";
    address_scheme: "the address has to begin with http:// or https://", "адрес должен начинаться с http:// или https://", "地址必须以 http:// 或 https:// 开头";
    address_user: "leave user name and password out of the address; the key is asked for by itself", "уберите имя и пароль из адреса; ключ спрашивают отдельно", "请从地址中去掉用户名和密码；密钥会单独询问";
    address_query: "leave what follows ? or # out of the address; the key is asked for by itself", "уберите из адреса всё после ? или #; ключ спрашивают отдельно", "请去掉地址中 ? 或 # 之后的内容；密钥会单独询问";
    provider_refused: "a provider's name is made of letters, digits, '-', '_' and '.'", "имя состоит из букв, цифр, '-', '_' и '.'", "名称由字母、数字、'-'、'_' 和 '.' 组成";
    provider_demo: "demo is the name of the built-in model; choose another name", "demo — имя встроенной модели; выберите другое", "demo 是内置模型的名称；请换一个";
    no_format: "{} is no format: choose openai, openai-responses, anthropic or ollama", "{} — не формат: выберите openai, openai-responses, anthropic или ollama", "{} 不是格式：请选择 openai、openai-responses、anthropic 或 ollama";
    // The terminal's own.
    terminal_title: "Setting up Instar", "Настройка Instar", "设置 Instar";
    terminal_keys: "Enter takes what stands in [ ]; < goes back; Ctrl-C stops and keeps what was answered.", "Enter принимает то, что в [ ]; < возвращает назад; Ctrl-C останавливает, ответы сохраняются.", "回车采用 [ ] 中的内容；< 返回；Ctrl-C 停止并保留已答内容。";
    terminal_yes: "answer y or n", "ответьте y или n", "请回答 y 或 n";
    terminal_number: "type a number from 1 to {}", "введите число от 1 до {}", "请输入 1 到 {} 的数字";
    terminal_like: "like {}", "например {}", "例如 {}";
    all_set: "Everything is set up.", "Всё настроено.", "全部设置完成。";
    decided_later: "decided later; what is found at the start answers", "решите позже; отвечает найденное при запуске", "以后再定；由启动时找到的模型回答";
    asking: "asking {} for one word", "прошу у {} одно слово", "请 {} 说一个词";
    link_once: "the link works once, within a minute", "ссылка действует один раз, в течение минуты", "链接仅可用一次，一分钟内有效";
    declined: "nothing was set up: the risks were not accepted", "ничего не настроено: риски не приняты", "未做任何设置：尚未接受风险";
    declined_next: "read them with `instar onboard`; scripts say --accept-risk", "прочтите их с `instar onboard`; скрипты передают --accept-risk", "用 `instar onboard` 阅读；脚本请加 --accept-risk";
    next_talk: "talk to it: `instar agent --message hello`, or in the browser", "поговорите с ним: `instar agent --message hello` или в браузере", "与它对话：`instar agent --message hello`，或在浏览器中";
    next_restart: "`instar gateway restart` puts the changes to use", "`instar gateway restart` введёт изменения в действие", "运行 `instar gateway restart` 使更改生效";
    next_taken: "the running gateway has taken the changes; `instar status` shows it", "работающий шлюз принял изменения; `instar status` это покажет", "运行中的网关已采用更改；`instar status` 可查看";
    next_up_or_install: "`instar up` starts it in this terminal, `instar gateway install` as a service", "`instar up` запустит его в этом терминале, `instar gateway install` — как службу", "`instar up` 在此终端启动，`instar gateway install` 作为服务启动";
    next_up: "`instar up` starts it", "`instar up` запустит его", "运行 `instar up` 启动";
    needs_terminal: "questions need a terminal", "для вопросов нужен терминал", "提问需要终端";
    needs_terminal_next: "say --non-interactive; `instar onboard --help` shows what it takes", "добавьте --non-interactive; `instar onboard --help` покажет, что нужно", "请加 --non-interactive；`instar onboard --help` 有说明";
    asked_anyway: "this answers questions that are asked here anyway", "об этом здесь и так спросят", "这些问题在此本来就会问";
    asked_anyway_next: "add --non-interactive, or leave these arguments out", "добавьте --non-interactive или уберите эти аргументы", "请加 --non-interactive，或去掉这些参数";
    // Without questions.
    answers_after: "{} answers, after", "{} отвечает, за", "{} 有回答，用时";
    not_tried: "{} was not tried", "{}: не проверялась", "{} 未测试";
    no_model_named: "no model was named: what is found at the start answers", "модель не названа: ответит найденная при запуске", "未指定模型：由启动时找到的模型回答";
    key_is_set: "{} is set", "задано: {}", "已设置 {}";
    next: "next:", "дальше:", "接下来：";
    does_not_answer: "{} does not answer:", "{} не отвечает:", "{} 没有回答：";
    nothing_changed: "nothing was changed; mend it and try again, or add --skip-probe", "ничего не изменено; исправьте и повторите или добавьте --skip-probe", "未做任何更改；修正后重试，或加 --skip-probe";
    is_missing: "{} is missing", "не хватает {}", "缺少 {}";
    own_server_needs: "a server of your own needs --custom-base-url and --custom-model-id", "своему серверу нужны --custom-base-url и --custom-model-id", "自己的服务器需要 --custom-base-url 和 --custom-model-id";
    no_choice: "{} is no choice", "нет такого варианта: {}", "没有 {} 这个选项";
    choices: "choose custom, later or one of {}", "выберите custom, later или одно из: {}", "请选择 custom、later 或其中之一：{}";
    no_usual_model: "{} has no usual model", "у {} нет обычной модели", "{} 没有常用模型";
    name_a_model: "name one with --model", "назовите её через --model", "请用 --model 指定";
    vendor_needs_key: "{} needs a key", "для {} нужен ключ", "{} 需要密钥";
    give_a_key: "pipe it in with `--custom-api-key -`, or set its variable", "передайте его через `--custom-api-key -` или задайте его переменную", "用 `--custom-api-key -` 从管道传入，或设置其环境变量";
    key_file: "the key file", "файл ключа", "密钥文件";
    key_was_shown: "warning: the key stood on the command line, where other users and the shell's history may have seen it; `--custom-api-key -` and CUSTOM_API_KEY keep it private", "внимание: ключ стоял в командной строке, его могли увидеть другие пользователи и история оболочки; `--custom-api-key -` и CUSTOM_API_KEY его скрывают", "警告：密钥曾出现在命令行中，其他用户和 shell 历史可能已看到；`--custom-api-key -` 和 CUSTOM_API_KEY 可保密";
    key_stays_shown: "the process list of this system shows the key to every user, and it cannot be taken out of it", "список процессов этой системы показывает ключ всем пользователям, и убрать его оттуда нельзя", "此系统的进程列表向所有用户显示密钥，且无法移除";
    key_stays_shown_next: "use `--custom-api-key -`, `--custom-api-key @FILE` or CUSTOM_API_KEY, and a new key", "возьмите `--custom-api-key -`, `--custom-api-key @FILE` или CUSTOM_API_KEY и новый ключ", "请使用 `--custom-api-key -`、`--custom-api-key @FILE` 或 CUSTOM_API_KEY，并换新密钥";
    it_answers: "it answers", "отвечает", "有回答";
    stopped: "setting up was stopped; what was answered is kept", "настройка остановлена; ответы сохранены", "设置已停止；已答内容已保留";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_full_and_keeps_its_names_and_code_in_every_language() {
        for (name, row) in ROWS {
            let code = |text: &str| -> Vec<String> {
                let parts = text.split('`').skip(1).step_by(2);
                parts.map(str::to_owned).collect()
            };
            for text in row {
                assert!(!text.trim().is_empty(), "{name}");
                assert_eq!(
                    text.matches("{}").count(),
                    row[0].matches("{}").count(),
                    "{name}"
                );
                assert_eq!(code(text), code(row[0]), "{name}");
            }
        }
    }

    #[test]
    fn tags_and_locales_are_both_understood() {
        for (tag, tongue) in [
            ("ru_RU.UTF-8", Tongue::Russian),
            ("zh-Hans", Tongue::Chinese),
            ("C.UTF-8", Tongue::English),
            ("", Tongue::English),
        ] {
            assert_eq!(Tongue::named(tag), tongue, "{tag}");
        }
    }
}
