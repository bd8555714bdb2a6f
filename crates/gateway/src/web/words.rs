//! Every word that people read on the pages, in each language, one row each.
//!
//! A language is a column: whoever adds one fills every row, or it does not compile.

mod reader;

use instar_protocol::approval::QuestionState;
use instar_protocol::tool::Effect;

use crate::setup::Tongue;

pub(super) use reader::{COOKIE, Reader};

macro_rules! words {
    ($($name:ident: $en:literal, $ru:literal, $zh:literal;)*) => {
        /// The words of one language.
        #[derive(Debug)]
        pub(crate) struct Words {
            /// The language's tag, as HTML wants it.
            pub(super) tag: &'static str,
            $(pub(super) $name: &'static str,)*
        }

        static ENGLISH: Words = Words { tag: "en", $($name: $en,)* };
        static RUSSIAN: Words = Words { tag: "ru", $($name: $ru,)* };
        static CHINESE: Words = Words { tag: "zh-Hans", $($name: $zh,)* };

        #[cfg(test)]
        const ROWS: &[(&str, [&str; 3])] = &[$((stringify!($name), [$en, $ru, $zh]),)*];
    };
}

words! {
    // The frame.
    skip: "Skip to the content", "К содержимому", "跳到正文";
    pages: "Pages", "Страницы", "页面";
    menu: "Menu", "Меню", "菜单";
    language: "Language", "Язык", "语言";
    sign_out: "Sign out", "Выйти", "退出";
    chat: "Chat", "Чат", "聊天";
    sessions: "Conversations", "Беседы", "会话";
    usage: "Usage", "Расход", "用量";
    releases: "Releases", "Релизы", "版本";
    events: "Events", "События", "事件";
    faults: "Faults", "Сбои", "故障";
    agents: "Agents", "Агенты", "代理";
    models: "Models", "Модели", "模型";
    devices: "Devices", "Устройства", "设备";
    health: "Health", "Состояние", "状态";
    logs: "Logs", "Журнал", "日志";
    shortcuts: "Keyboard shortcuts", "Горячие клавиши", "键盘快捷键";
    shortcut_help: "Show this list", "Показать этот список", "显示此列表";
    shortcut_search: "Go to the search or message field", "К поиску или полю сообщения", "转到搜索框或消息框";
    shortcut_stop: "Stop the answer, close a dialog", "Остановить ответ, закрыть окно", "停止回答，关闭对话框";
    shortcut_send: "Send the message", "Отправить сообщение", "发送消息";
    shortcut_line: "New line", "Новая строка", "换行";
    shortcut_go: "then a letter: go to a page", "затем буква: перейти на страницу", "再按字母：转到页面";
    close: "Close", "Закрыть", "关闭";
    refused_title: "Refused", "Отказано", "已拒绝";
    back_to_chat: "Back to the conversation", "Назад к беседе", "返回会话";
    back_to_page: "Back to the page", "Назад к странице", "返回页面";
    unreachable: "The gateway does not answer. Is it still running?", "Шлюз не отвечает. Он запущен?", "网关没有响应。它还在运行吗？";
    needs_script: "Without JavaScript nothing comes by itself here; load the page again to see what is new.", "Без JavaScript новое здесь не появляется само; загрузите страницу снова.", "没有 JavaScript 时此处不会自动更新；请重新加载页面。";
    // What many pages say.
    agent: "Agent", "Агент", "代理";
    model: "Model", "Модель", "模型";
    when: "When", "Когда", "时间";
    what: "What", "Что", "内容";
    why: "Why", "Почему", "原因";
    name: "Name", "Название", "名称";
    cost: "Cost", "Стоимость", "费用";
    calls: "Calls", "Вызовы", "调用";
    tokens_in: "Tokens in", "Токены на входе", "输入令牌";
    tokens_out: "Tokens out", "Токены на выходе", "输出令牌";
    search: "Search", "Поиск", "搜索";
    show: "Show", "Показать", "显示";
    all: "All", "Все", "全部";
    older: "Older", "Раньше", "更早";
    save: "Save", "Сохранить", "保存";
    yes: "yes", "да", "是";
    no: "no", "нет", "否";
    none: "none", "нет", "无";
    pause: "Pause", "Пауза", "暂停";
    resume: "Resume", "Продолжить", "继续";
    following: "New lines appear by themselves.", "Новые строки появляются сами.", "新内容会自动出现。";
    paused: "Paused", "На паузе", "已暂停";
    // The owner's desk.
    approvals: "Approvals", "Разрешения", "批准";
    approvals_about: "What the agent wants to do and may not do by itself. An answer holds for exactly the call that is shown, once; no answer means no.", "То, что агент хочет сделать, но не может сам. Ответ действует ровно на показанный вызов, один раз; нет ответа — значит нет.", "代理想做但不能自行决定的事。回答只对所显示的这一次调用有效；不回答即为否。";
    posture_offer: "questions of the last seven days got your yes. Plan and evidence can decide some of them:", "вопросов за последние семь дней получили ваше «да». Часть из них могут решать план и доказательства:", "个问题在最近七天内获得了您的同意。其中一部分可由计划和证据决定：";
    posture_offer_look: "what another posture would have changed", "что изменил бы другой режим", "看看其他姿态会改变什么";
    questions_wait: "questions wait for you", "вопросов ждут вас", "个问题等待您回答";
    question_gone: "A question that was shown here was answered elsewhere or ran out.", "Показанный здесь вопрос закрыт: на него ответили в другом месте или вышло время.", "此处显示的问题已在别处回答或已过期。";
    no_questions: "Nothing waits for you", "Ничего не ждёт", "没有等待的问题";
    no_questions_do: "When the agent wants to do something that only you can allow, it is shown here. `instar approvals list` shows the same.", "Когда агент захочет сделать то, что можете разрешить только вы, это появится здесь. То же покажет `instar approvals list`.", "当代理想做只有您才能允许的事时，会显示在这里。`instar approvals list` 显示相同内容。";
    agent_asks: "Your agent asks you", "Ваш агент спрашивает вас", "您的代理问您";
    agent_tells: "Your agent has something to tell you", "Ваш агент хочет вам сообщить", "您的代理有话要说";
    its_own_words: "These are the model's own words; an answer permits nothing.", "Это слова самой модели; ответ ничего не разрешает.", "这是模型自己的话；回答不构成任何许可。";
    your_answer: "Your answer", "Ваш ответ", "您的回答";
    send_answer: "Answer", "Ответить", "回答";
    put_aside: "Put it aside", "Отложить", "搁置";
    have_read: "I have read it", "Прочитано", "已阅";
    letters_before: "Asked and told before", "Вопросы и сообщения раньше", "以前的提问和消息";
    was_answered: "answered", "отвечено", "已回答";
    was_read: "read", "прочитано", "已读";
    was_put_aside: "put aside", "отложено", "已搁置";
    was_late: "ran out", "время вышло", "已过期";
    said_answer: "your choice", "ваш выбор", "您的选择";
    may_it: "May it use", "Можно ли использовать", "是否允许使用";
    touches: "What it touches", "Что затрагивает", "涉及内容";
    argument: "Argument", "Аргумент", "参数";
    exact_value: "Exact value", "Точное значение", "确切的值";
    comes_from: "Comes from", "Откуда взято", "来源";
    grade: "Grade of evidence: G0 nowhere, G3 your own words", "Степень доказательности: G0 — ниоткуда, G3 — ваши слова", "证据等级：G0 无来源，G3 您自己的话";
    exact_call: "The exact call", "Точный вызов", "确切的调用";
    why_asked: "Why you are asked", "Почему спрашивают вас", "为何询问您";
    read_before: "The least trusted source of what the agent had read:", "Наименее надёжный источник прочитанного агентом:", "代理已读内容中最不可信的来源：";
    minutes_left: "min left", "мин осталось", "分钟后过期";
    answer_no: "No", "Нет", "否";
    answer_once: "Yes, this once", "Да, один раз", "是，仅此一次";
    answer_always: "Always…", "Всегда…", "始终…";
    rule_would_be: "This rule would be kept, and calls that it covers run without a question:", "Будет сохранено правило, и подходящие под него вызовы пойдут без вопроса:", "将保存此规则，符合它的调用不再询问：";
    keep_for_a_time: "Yes, keep it for 30 days", "Да, хранить 30 дней", "是，保留 30 天";
    keep_for_ever: "Yes, keep it without an end", "Да, хранить бессрочно", "是，永久保留";
    always_not_offered: "\"Always\" is not offered for calls of this kind.", "Для таких вызовов «Всегда» не предлагается.", "此类调用不提供“始终”。";
    known_people: "People you know", "Кого вы знаете", "您认识的人";
    known_note: "Whom you named in your own words and wrote to before anything of theirs was read; `policy.contacts` names others. To be known is evidence for a message to them, and no permission: a link or file of a stranger still asks.", "Кого вы назвали своими словами и кому написали прежде, чем что-либо от них было прочитано; других называет `policy.contacts`. Это доказательство для сообщения им, а не разрешение: о чужой ссылке или файле всё равно спросят.", "您亲口点名并先去信的人，此前未读过其任何内容；其他人由 `policy.contacts` 指定。这是给其发消息的依据，不是许可：陌生人的链接或文件仍会询问。";
    known_nobody: "Nobody yet.", "Пока никого.", "还没有人。";
    known_who: "Who", "Кто", "对象";
    known_by: "Known by", "Откуда", "依据";
    known_by_message: "your message by", "ваше сообщение через", "您的消息，经由";
    known_forget: "Forget", "Забыть", "忘记";
    standing_rules: "Standing rules", "Действующие правила", "长期规则";
    no_rules: "No rules are kept; answering \"Always\" keeps one.", "Правил нет; ответ «Всегда» сохраняет правило.", "没有规则；回答“始终”会保存一条。";
    rule_says: "Rule", "Правило", "规则";
    rule_over: "over", "больше не действует", "已失效";
    rule_until: "until", "до", "有效至";
    rule_pinned: "without an end", "бессрочно", "永久";
    take_back: "Take back", "Отозвать", "撤回";
    answered_before: "Answered before", "Отвеченные", "已回答";
    state: "State", "Состояние", "状态";
    state_open: "waits", "ждёт", "等待中";
    state_approved: "yes, not run yet", "да, ещё не выполнен", "是，尚未执行";
    state_used: "yes, it ran", "да, выполнен", "是，已执行";
    state_denied: "no", "нет", "否";
    state_expired: "ran out: no", "время вышло: нет", "已过期：否";
    state_void: "asked for nothing any more", "вопрос отпал", "已失去意义";
    effect_none: "no effect", "без последствий", "无影响";
    effect_read: "reads", "читает", "读取";
    effect_write: "writes", "пишет", "写入";
    effect_fetch: "fetches from outside", "запрашивает извне", "从外部获取";
    effect_send: "sends", "отправляет", "发送";
    effect_grant: "gives access", "даёт доступ", "授予访问权";
    effect_execute: "runs a program", "запускает программу", "运行程序";
    effect_spend: "spends money", "тратит деньги", "花钱";
    effect_destroy: "destroys", "уничтожает", "销毁";
    origin_owner: "you", "вы", "您";
    origin_system: "the gateway itself", "сам шлюз", "网关本身";
    origin_contact: "a contact", "знакомый", "联系人";
    origin_stranger: "a stranger", "посторонний", "陌生人";
    origin_model: "the model", "модель", "模型";
    // The policy.
    policy: "Policy", "Политика", "策略";
    policy_about: "What each tool may do for whom. It is decided by plain code over facts that no model can change; every decision names its rule.", "Что какой инструмент может для кого. Решает обычный код по фактам, которые модель изменить не может; каждое решение называет правило.", "每个工具可以为谁做什么。由普通代码根据模型无法更改的事实决定；每个决定都注明规则。";
    posture: "Posture", "Режим", "姿态";
    posture_careful: "careful: reading inside is free, every effect asks", "careful: чтение внутри свободно, любое действие спрашивает", "careful：内部读取自由，任何操作都询问";
    posture_balanced: "balanced: plan and evidence decide, the rest asks", "balanced: решают план и доказательства, остальное спрашивает", "balanced：由计划和证据决定，其余询问";
    posture_open: "open: only the hard rules", "open: только жёсткие правила", "open：仅硬性规则";
    rights: "Effective rights", "Действующие права", "有效权限";
    rights_note: "Without arguments: before anything was read, and after text of somebody else was. A call with arguments is judged by what they are and where they come from.", "Без аргументов: до всякого чтения и после чужого текста. Вызов с аргументами судят по ним самим и по их источнику.", "无参数时的结果：尚未读取任何内容时，以及读取他人文本之后。带参数的调用按参数及其来源判断。";
    after_others: "then", "затем", "之后";
    rules: "Rules in words", "Правила словами", "规则说明";
    rules_note: "Built-in ones and yours, each with file and line. Yours are `policy/*.cedar` in the state folder; `instar policy test` tries them.", "Встроенные и ваши, с файлом и строкой. Ваши лежат в `policy/*.cedar` каталога состояния; `instar policy test` проверяет их.", "内置规则和您的规则，附文件与行号。您的规则位于状态目录的 `policy/*.cedar`；用 `instar policy test` 测试。";
    rules_wrong: "Rules on the disk are not right; the last good ones go on:", "Правила на диске неверны; действуют прежние:", "磁盘上的规则有误；仍使用上一份正确的规则：";
    answer: "Answer", "Ответ", "结果";
    says: "Says", "Смысл", "含义";
    place: "Where", "Где", "位置";
    answer_permit: "permits", "разрешает", "允许";
    answer_never: "denies", "запрещает", "拒绝";
    answer_ask: "asks", "спрашивает", "询问";
    answer_yield: "asks, unless you permit", "спрашивает, если вы не разрешили", "询问，除非您已允许";
    other_posture: "Another posture", "Другой режим", "其他姿态";
    compare_note: "What the decisions of the last seven days would have been in each posture, over the facts that were kept with them. Nothing changes by looking; `instar config set policy.posture balanced` does.", "Какими были бы решения последних семи дней в каждом режиме, по сохранённым фактам. Просмотр ничего не меняет; меняет `instar config set policy.posture balanced`.", "按保存的事实，最近七天的决定在各姿态下的结果。查看不会改变任何设置；`instar config set policy.posture balanced` 才会。";
    compare_run: "Compare now", "Сравнить", "立即比较";
    compare_decisions: "Decisions", "Решений", "决定数";
    compare_unknown: "left out, for their facts are not kept", "пропущено, потому что фактов нет", "因未保存事实而未计入";
    compare_changed: "answered otherwise", "ответ был бы другим", "结果不同";
    compare_plan: "if the plan has them", "если они есть в плане", "若在计划中";
    rule_name: "Rule", "Правило", "规则";
    tool: "Tool", "Инструмент", "工具";
    does: "Does", "Действие", "作用";
    role_owner: "You", "Вы", "您";
    role_contact: "Contact", "Знакомый", "联系人";
    role_stranger: "Stranger", "Посторонний", "陌生人";
    role_automation: "Schedule", "Расписание", "计划任务";
    outcome_allow: "allowed", "можно", "允许";
    outcome_ask: "asks", "спросит", "询问";
    outcome_deny: "denied", "нельзя", "拒绝";
    explain_call: "Explain a call", "Объяснить вызов", "解释一次调用";
    explain_arguments: "Arguments, as JSON", "Аргументы в виде JSON", "参数（JSON）";
    explain_for: "For", "Для кого", "为谁";
    explain: "Explain", "Объяснить", "解释";
    explain_words: "What you said before", "Что вы сказали до этого", "您之前说的话";
    explain_tainted: "text of somebody else was read", "был прочитан чужой текст", "已读取他人的文本";
    explain_decision: "Or a decision that was made: the number of a receipt, a question or a call", "Или принятое решение: номер записи, вопрос или вызов", "或已作出的决定：回执编号、问题或调用";
    hangs_on: "It hangs on", "Зависит от", "取决于";
    facts: "All facts", "Все факты", "全部事实";
    not_json: "The arguments are not JSON.", "Аргументы — не JSON.", "参数不是 JSON。";
    // The audit.
    audit: "Audit", "Аудит", "审计";
    audit_about: "Every decision and effect leaves a receipt. Each receipt names the one before it, so that a later change shows.", "Каждое решение и действие оставляет запись. Запись называет предыдущую, поэтому позднее изменение заметно.", "每个决定和操作都会留下回执。每条回执都指向前一条，因此事后的改动会被发现。";
    chain: "The chain of receipts", "Цепочка записей", "回执链";
    chain_end: "Its end", "Её конец", "链尾";
    chain_note: "Note it elsewhere: `instar audit verify --noted NUMBER:HASH` tells later whether anything before it was changed.", "Запишите его в другом месте: `instar audit verify --noted NUMBER:HASH` потом покажет, менялось ли что-то до него.", "把它记在别处：`instar audit verify --noted NUMBER:HASH` 之后可查出此前内容是否被改动。";
    chain_verify: "Go through the whole chain", "Проверить всю цепочку", "检查整条链";
    chain_whole: "The chain is whole; receipts:", "Цепочка цела; записей:", "链完整；回执数：";
    chain_broken: "The chain does not fit in these places:", "Цепочка нарушена здесь:", "链在以下位置不符：";
    receipts: "Receipts", "Записи", "回执";
    no_receipts: "No receipts yet: nothing was decided.", "Записей пока нет: ничего не решалось.", "还没有回执：尚未作出任何决定。";
    body_removed: "its content was removed", "содержание удалено", "内容已删除";
    findings: "Security audit", "Проверка безопасности", "安全审计";
    findings_about: "How the gateway is set up, looked at as an attacker would. `instar security audit` prints the same.", "Взгляд на настройки шлюза глазами нападающего. То же печатает `instar security audit`.", "以攻击者的眼光检查网关的设置。`instar security audit` 打印相同内容。";
    findings_run: "Look now", "Проверить сейчас", "立即检查";
    score: "Score", "Оценка", "评分";
    threat: "Threat", "Угроза", "威胁";
    // The chat.
    agent_says: "Agent", "Агент", "代理";
    you: "You", "Вы", "您";
    working: "Working…", "Работаю…", "正在处理…";
    asks_for: "Asks for", "Просит", "请求";
    refused_call: "Refused:", "Отказано:", "已拒绝：";
    failed_call: "Failed:", "Не вышло:", "失败：";
    used_call: "Used", "Использовано:", "已使用";
    asked_call: "You were asked about", "Задан вопрос о вызове", "已向您询问：";
    handed_call: "Handed to the calling program:", "Передано вызвавшей программе:", "已交给调用程序：";
    rule: "Rule:", "Правило:", "规则：";
    allowed_by: "Allowed by rule", "Разрешено правилом", "依据规则允许";
    lost: "The connection is gone; trying again…", "Связь пропала; пробую снова…", "连接已断开，正在重试…";
    skip_to_say: "Skip to the message box", "К полю сообщения", "跳到消息框";
    conversations: "Conversations", "Беседы", "会话";
    conversation: "Conversation", "Беседа", "会话内容";
    main_conversation: "Main conversation", "Главная беседа", "主会话";
    earlier: "Earlier messages are not shown here; `instar sessions export` has them all.", "Более ранние сообщения здесь не показаны; `instar sessions export` выгрузит все.", "此处不显示更早的消息；`instar sessions export` 可导出全部。";
    message: "Message", "Сообщение", "消息";
    write: "Write a message", "Напишите сообщение", "输入消息";
    stop: "Stop", "Стоп", "停止";
    send: "Send", "Отправить", "发送";
    chat_without_script: "Without JavaScript the page is loaded again until the answer is there; attachments need it.", "Без JavaScript страница обновляется, пока не придёт ответ; для вложений он нужен.", "没有 JavaScript 时，页面会反复加载直到回答出现；附件需要 JavaScript。";
    new_conversation: "New conversation", "Новая беседа", "新会话";
    edit: "Edit", "Изменить", "编辑";
    edit_message: "The message in another form", "Сообщение в другом виде", "改写消息";
    files_stay: "Its attachments go along.", "Вложения остаются при нём.", "附件会一起发送。";
    cancel: "Cancel", "Отмена", "取消";
    retry: "Retry", "Ещё раз", "重试";
    another_answer: "Another answer", "Другой ответ", "换一个回答";
    fork: "Branch off", "Ответвить", "另开";
    fork_about: "Go on from here in a conversation of its own", "Продолжить отсюда в отдельной беседе", "从这里在单独的会话中继续";
    edit_waits: "An answer is under way; this is sent when it is done.", "Ответ ещё пишется; это уйдёт, когда он закончится.", "正在回答；完成后再发送此内容。";
    variant: "Version", "Вариант", "版本";
    of: "of", "из", "/";
    version_before: "The version before", "Предыдущий вариант", "上一个版本";
    version_behind: "The version after", "Следующий вариант", "下一个版本";
    shortcut_edit: "In an empty message field: edit the last message", "В пустом поле: изменить последнее сообщение", "消息框为空时：编辑上一条消息";
    shortcut_version: "On the numbers of versions: the one before or after", "На номерах вариантов: предыдущий или следующий", "在版本号上：上一个或下一个版本";
    latest: "To the latest", "К последнему", "跳到最新";
    copy: "Copy", "Копировать", "复制";
    copied: "Copied", "Скопировано", "已复制";
    good: "Good", "Хорошо", "好";
    bad: "Bad", "Плохо", "差";
    good_answer: "A good answer", "Хороший ответ", "回答得好";
    bad_answer: "A bad answer", "Плохой ответ", "回答得不好";
    attach: "Attach files", "Прикрепить файлы", "添加附件";
    attachments: "Attachments", "Вложения", "附件";
    detach: "Take away", "Убрать", "移除";
    attach_many: "no more of these fit into one message", "больше таких в одно сообщение не войдёт", "一条消息不能再添加此类文件";
    attach_large: "larger than", "больше чем", "超过";
    attach_together: "together they are larger than", "вместе больше чем", "总大小超过";
    images: "images", "изображения", "图片";
    text_files: "text files", "текстовые файлы", "文本文件";
    model_here: "The model of this conversation", "Модель этой беседы", "此会话的模型";
    usual_model: "the agent's usual model", "обычная модель агента", "代理的常用模型";
    choose: "Choose", "Выбрать", "选择";
    commands: "Commands", "Команды", "命令";
    command_new: "start over: the model no longer sees what was said before", "начать заново: прежнее модель больше не видит", "重新开始：模型不再看到之前的内容";
    command_reset: "the same as /new", "то же, что /new", "同 /new";
    command_stop: "stop the turn that is running", "остановить текущий ответ", "停止正在进行的回答";
    command_status: "what is going on in this conversation", "что происходит в этой беседе", "此会话的当前状态";
    command_model: "show the model, or choose another", "показать модель или выбрать другую", "显示或更换模型";
    command_compact: "replace the older part of the conversation by a summary", "заменить старую часть беседы кратким изложением", "用摘要替换较早的对话";
    command_approve: "where the agent's questions are answered: not in a conversation", "где отвечают на вопросы агента: не в беседе", "在哪里回答代理的问题：不在会话中";
    command_help: "all commands", "все команды", "全部命令";
    commands_hint: "Type `/help` for commands, `/new` for a fresh start.", "Наберите `/help` — список команд, `/new` — начать заново.", "输入 `/help` 查看命令，`/new` 重新开始。";
    nothing_said: "Nothing said yet", "Пока ничего не сказано", "还没有对话";
    demo_says: "You are talking to a small scripted model that runs offline. It is not a language model; it shows you around until you connect one.", "Вы говорите с маленькой сценарной моделью, работающей без сети. Это не языковая модель: она покажет вам всё, пока вы не подключите настоящую.", "您正在与一个离线运行的小型脚本模型对话。它不是语言模型；在您连接真正的模型之前，由它带您了解。";
    begin_below: "Write below, or begin with one of these.", "Напишите ниже или начните с одного из этих.", "在下面输入，或从下列之一开始。";
    summarised: "Earlier messages were summarised for the model", "Более ранние сообщения сжаты для модели", "已为模型总结较早的消息";
    now_answers: "From here on this model answers:", "Дальше отвечает эта модель:", "从这里起由此模型回答：";
    usual_answers: "From here on the agent's usual model answers.", "Дальше отвечает обычная модель агента.", "从这里起由代理的常用模型回答。";
    an_image: "An image", "Изображение", "图片";
    the_file: "The file", "Файл", "文件";
    stopped: "stopped", "остановлено", "已停止";
    cut_at_length: "cut at the length limit", "обрезано по длине", "达到长度上限被截断";
    refused_by_model: "refused by the model", "модель отказалась", "被模型拒绝";
    more_bytes: "more bytes", "байт ещё", "更多字节";
    // Signing in.
    sign_in: "Sign in", "Вход", "登录";
    password: "Password", "Пароль", "密码";
    token: "API token", "Токен API", "API 令牌";
    proxy_signs_in: "This gateway lets a proxy in front of it sign people in. Open it through that proxy.", "Этот шлюз впускает через прокси перед ним. Откройте его через прокси.", "此网关由前面的代理负责登录。请通过该代理打开。";
    or_link: "Or run `instar up` and open the link it prints; it prints one for a running gateway too.", "Или запустите `instar up` и откройте ссылку; она печатается и для работающего шлюза.", "或运行 `instar up` 并打开它打印的链接；网关运行中也会打印。";
    token_lost: "The token was shown once at the first start. Lost it? `instar token rotate` makes a new one.", "Токен был показан один раз при первом запуске. Потеряли? `instar token rotate` сделает новый.", "令牌只在首次启动时显示一次。丢失了？`instar token rotate` 会生成新的。";
    signing_in: "Signing in to your gateway.", "Входим в ваш шлюз.", "正在登录您的网关。";
    go_on: "Continue", "Продолжить", "继续";
    not_any_more: "You are not signed in any more.", "Вы больше не вошли.", "您已不再处于登录状态。";
    // Setting up.
    setup: "Set up", "Настройка", "设置";
    setup_about: "Four short steps: the risks, the agent's folder, a model that is tried at once, and the port. Every answer is kept as it is given.", "Четыре коротких шага: риски, папка агента, модель, которая сразу проверяется, и порт. Каждый ответ сохраняется сразу.", "四个简短步骤：风险、代理的文件夹、即时测试的模型，以及端口。每个回答都会立即保存。";
    setup_until_then: "Until then this model answers:", "До тех пор отвечает эта модель:", "在此之前由此模型回答：";
    setup_begin: "Begin", "Начать", "开始";
    setup_skip: "Skip it and talk to the agent", "Пропустить и говорить с агентом", "跳过，直接与代理对话";
    setup_steps: "Steps", "Шаги", "步骤";
    setup_risks: "Risks", "Риски", "风险";
    setup_folder: "Folder", "Папка", "文件夹";
    setup_port: "Port", "Порт", "端口";
    setup_back: "Back", "Назад", "返回";
    setup_leave: "Leave; what was answered is kept", "Выйти; ответы сохранены", "离开；已答内容已保留";
    setup_over: "That setting-up is over or was left alone for too long. What was answered is kept; begin again to change it.", "Эта настройка окончена или слишком долго ждала. Ответы сохранены; начните снова, чтобы их изменить.", "该设置已结束或搁置太久。已答内容已保留；如需更改请重新开始。";
    setup_declined: "Nothing was set up, because the risks were not accepted.", "Ничего не настроено: риски не приняты.", "由于未接受风险，未作任何设置。";
    setup_working: "The answer before is still being worked on.", "Предыдущий ответ ещё обрабатывается.", "上一个回答仍在处理中。";
    setup_look_again: "Look again", "Посмотреть снова", "再看一次";
    setup_busy: "Working; a model is given 20 seconds to answer…", "Работаю; модели даётся 20 секунд на ответ…", "处理中；模型有 20 秒时间回答…";
    setup_done: "Everything is set up", "Всё настроено", "全部设置完成";
    setup_later: "Decided later; what is found at the start answers.", "Решите позже; отвечает найденное при запуске.", "以后再定；由启动时找到的模型回答。";
    setup_open: "Open the chat", "Открыть чат", "打开聊天";
    setup_service: "To run it as a service, which starts when you log in and again when it fails: `instar gateway install` on the machine of the gateway. No page does that: what starts on a machine is decided on it.", "Чтобы он работал службой, которая запускается при входе и после сбоя: `instar gateway install` на машине шлюза. Страница этого не делает: что запускается на машине, решают на ней.", "要作为服务运行（登录时启动，出错后重启）：在网关所在机器上运行 `instar gateway install`。网页不会代劳：一台机器启动什么，由它自己决定。";
    setup_restart: "Another port or address takes effect at the next start: `instar gateway restart`.", "Другой порт или адрес вступит в силу при следующем запуске: `instar gateway restart`.", "新的端口或地址在下次启动时生效：`instar gateway restart`。";
    setup_asked_before: "Everything was answered before. Setting up again changes only what you answer differently.", "На всё уже отвечали. Повторная настройка меняет лишь то, на что вы ответите иначе.", "之前已全部回答。再次设置只会更改您回答不同的内容。";
    // Conversations.
    sessions_hint: "Names, keys, and words that were said", "Названия, ключи и сказанные слова", "标题、键和说过的话";
    in_what_was_said: "In what was said", "В сказанном", "在说过的话中";
    more_was_said: "There may be more; more words find less.", "Возможно, есть ещё; уточните слова.", "可能还有更多；请输入更具体的词。";
    on_another_branch: "left behind on another branch", "осталось на другой ветви", "留在另一分支上";
    session: "Conversation", "Беседа", "会话";
    messages: "Entries", "Записи", "条目";
    last_used: "Last used", "Последний раз", "最近使用";
    deleted: "Deleted", "Удалённые", "已删除";
    present: "Present", "Имеющиеся", "现有";
    rename: "Rename", "Переименовать", "重命名";
    export: "Export", "Выгрузить", "导出";
    delete: "Delete", "Удалить", "删除";
    restore: "Restore", "Вернуть", "恢复";
    session_deleted: "The conversation was deleted.", "Беседа удалена.", "会话已删除。";
    undo: "Undo", "Отменить", "撤销";
    running: "at work", "работает", "进行中";
    works_for: "works for", "работает на", "服务于";
    said_task: "task", "задача", "任务";
    said_report: "sub-agent", "подагент", "子代理";
    said_elsewhere: "another conversation", "другая беседа", "另一个会话";
    said_gateway: "gateway", "шлюз", "网关";
    no_sessions: "No conversations yet", "Бесед пока нет", "还没有会话";
    no_sessions_do: "Say something in the chat, and it appears here.", "Напишите что-нибудь в чате, и беседа появится здесь.", "在聊天里说点什么，会话就会出现在这里。";
    none_found: "Nothing found", "Ничего не найдено", "没有找到";
    none_found_do: "Try another word, or show all.", "Попробуйте другое слово или покажите все.", "换个词试试，或显示全部。";
    // Usage.
    from: "From", "С", "从";
    to: "To", "По", "到";
    days_7: "7 days", "7 дней", "7 天";
    days_30: "30 days", "30 дней", "30 天";
    this_month: "This month", "Этот месяц", "本月";
    per_day: "By day", "По дням", "按天";
    per_model: "By model", "По моделям", "按模型";
    per_agent: "By agent", "По агентам", "按代理";
    per_session: "By conversation", "По беседам", "按会话";
    per_session_note: "The dearest of the 500 conversations used last, over their whole life.", "Самые дорогие из 500 последних бесед, за всё их время.", "最近 500 个会话中费用最高的，按整个生命周期计算。";
    spent_today: "Spent today", "Сегодня", "今日花费";
    spent_month: "Spent this month", "В этом месяце", "本月花费";
    no_limit: "no limit set", "предел не задан", "未设上限";
    limit_of: "limit", "предел", "上限";
    cost_chart: "Cost by day", "Стоимость по дням", "每日费用";
    day_limit: "Day limit", "Предел на день", "每日上限";
    no_usage: "Nothing was spent in these days", "В эти дни расхода не было", "这些天没有花费";
    no_usage_do: "Calls of models are counted here from the first message on.", "Вызовы моделей считаются здесь с первого сообщения.", "从第一条消息起，模型调用都会在这里统计。";
    tokens_chart: "Tokens by day", "Токены по дням", "每日令牌";
    // Releases.
    release: "Release", "Релиз", "版本";
    stable: "stable", "действует", "生效中";
    compare: "What changed", "Что изменилось", "变更内容";
    nothing_changed: "Nothing changed in the behaviour.", "Поведение не изменилось.", "行为没有变化。";
    first_release: "This is the first release; there is nothing to compare it with.", "Это первый релиз, сравнивать не с чем.", "这是第一个版本，没有可比较的。";
    before: "Before", "Было", "之前";
    after: "After", "Стало", "之后";
    authority: "Authority", "Полномочия", "权限";
    made_by: "Made by", "Автор", "作者";
    moves: "When which release became stable", "Когда какой релиз вступил в силу", "各版本生效时间";
    releases_about: "A release is everything that decides how the agents act, under one hash. An edit of an identity file or of the configuration makes the next one.", "Релиз — это всё, что определяет поведение агентов, под одним хешем. Правка файла личности или настроек создаёт следующий.", "版本是决定代理行为的全部内容，对应一个哈希。修改身份文件或配置会产生下一个版本。";
    note_edits: "Notes that could be taken away", "Заметки, которые можно убрать", "可以删除的笔记";
    candidates: "Candidates", "Кандидаты", "候选版本";
    candidates_about: "Proposed changes. A candidate serves nobody until a rollout gives it a share of the new episodes.", "Предложенные изменения. Кандидат никого не обслуживает, пока выкатка не даст ему долю новых эпизодов.", "提议的变更。在灰度发布分给它一部分新片段之前，候选版本不服务任何人。";
    no_candidates: "There are no candidates. `instar candidate new` makes one from a file of deltas.", "Кандидатов нет. `instar candidate new` создаёт кандидата из файла изменений.", "没有候选版本。`instar candidate new` 可从变更文件创建。";
    candidate: "Candidate", "Кандидат", "候选版本";
    class: "Class", "Класс", "类别";
    newly_possible: "What newly becomes possible", "Что становится возможным", "新允许的操作";
    rules_new: "Rules that come", "Новые правила", "新增规则";
    rules_gone: "Rules that go", "Убранные правила", "移除的规则";
    gates: "Gates", "Проверки", "关卡";
    gates_about: "Each is a check that ends in pass, fail or no data; no data never counts as a pass. What they say is signed.", "Каждая проверка даёт «пройдено», «не пройдено» или «нет данных»; отсутствие данных не считается прохождением. Их ответы подписаны.", "每道关卡的结果是通过、不通过或没有数据；没有数据不算通过。结果都经过签名。";
    gate: "Gate", "Проверка", "关卡";
    holds_until: "Holds until", "Действует до", "有效期至";
    since_your_word: "Releases that went out by themselves since your last word, taken together with it:", "Релизы, вышедшие сами с вашего последнего слова, вместе с ним:", "自您上次发话以来自行发布的版本，与它合计：";
    may_go: "It may go to", "Может дойти до", "可以进入";
    ask_gates: "Ask the gates", "Провести проверки", "进行检查";
    say_yes: "Say yes to it", "Одобрить", "批准";
    rebase: "Make it anew upon stable", "Перенести на действующий", "基于生效版本重做";
    go_back_to: "Go back to it", "Вернуться к нему", "回退到此版本";
    fits: "Against what is stable now", "Относительно действующего", "与当前版本相比";
    // Rollouts.
    rollout: "Rollout", "Выкатка", "灰度发布";
    rollouts: "Rollouts", "Выкатки", "灰度发布";
    rollouts_about: "A candidate is served to a share of the new episodes. Whenever an episode settles the evidence is worked out anew: the candidate becomes stable, or is taken back by itself.", "Кандидат обслуживает долю новых эпизодов. Как только эпизод оценён, свидетельства пересчитываются: кандидат становится действующим или отзывается сам.", "候选版本只服务一部分新片段。每当一个片段有了结果就重新计算证据：候选版本会转为生效，或自动撤回。";
    no_rollouts: "No rollout yet", "Выкаток пока нет", "还没有灰度发布";
    no_rollouts_do: "`instar rollout start CANDIDATE` begins one.", "`instar rollout start CANDIDATE` начинает выкатку.", "`instar rollout start CANDIDATE` 开始一次灰度发布。";
    stage: "Stage", "Стадия", "阶段";
    episodes: "episodes", "эпизодов", "片段";
    take_it_back: "Take it back", "Отозвать", "撤回";
    hold_it: "Pause", "Приостановить", "暂停发布";
    promote_now: "Make it stable now", "Сделать действующим сейчас", "立即生效";
    against: "Held against", "Сравнивается с", "对照版本";
    not_judged_yet: "not judged yet", "ещё не оценены", "尚未评定";
    holds: "Not promoted", "Не выпускается", "暂不生效";
    hold_coverage: "an arm has too few episodes with data", "в одной из ветвей мало эпизодов с данными", "某一组有数据的片段太少";
    hold_uneven: "one arm has data more often than the other", "в одной ветви данные есть чаще, чем в другой", "一组有数据的比例高于另一组";
    hold_alarm: "both arms together are worse than what was usual before", "обе ветви вместе хуже, чем было обычно", "两组合在一起比以往更差";
    hold_silence: "too little was heard of an arm: neither a word about its answers nor anything that went wrong", "об одной из ветвей слишком мало слышно: ни слова об ответах, ни ошибки", "对某一组听到的太少：既没有评价，也没有出错";
    that_later: "That it became worse after its promotion", "Что после выпуска стало хуже", "生效之后变差";
    that_world: "That both arms together are worse than usual", "Что обе ветви вместе хуже обычного", "两组合在一起比平常差";
    watch_about: "After its promotion a part of the new episodes stays with the release before, and the test goes on. Judged since:", "После выпуска часть новых эпизодов остаётся за прежним релизом, и проверка продолжается. Оценено с тех пор:", "生效之后，一部分新片段仍由之前的版本服务，检验继续进行。此后已评估：";
    both_arms: "Both arms", "Обе ветви", "两组对比";
    to_decide: "What a decision takes", "Сколько нужно для решения", "做出判断所需";
    evidence: "Evidence", "Свидетельства", "证据";
    evidence_about: "One at the start; it may be looked at after every episode. At its bound it decides.", "В начале единица; смотреть можно после каждого эпизода. На границе решает.", "起始为一，每个片段后都可以查看。达到界限即做出判断。";
    that_worse: "It is worse", "Он хуже", "更差";
    worse_in_shadow: "Worse in the shadow", "Хуже в тени", "影子中更差";
    that_sound: "It is sound", "Он не хуже", "可靠";
    now: "Now", "Сейчас", "当前";
    bound: "Bound", "Граница", "界限";
    judged_last: "Episodes judged last", "Последние оценённые эпизоды", "最近评定的片段";
    arm: "Arm", "Ветвь", "组别";
    bad_in: "Bad in", "Плохо по", "不佳之处";
    metric_task: "work not done", "работа не сделана", "任务未完成";
    metric_cost: "dear", "дорого", "费用高";
    metric_latency: "slow", "медленно", "缓慢";
    metric_questions: "asked the owner", "спросил владельца", "询问了主人";
    lineage: "Where it comes from", "Откуда он взялся", "来源";
    lineage_about: "What a release was made of and measured with: everything to the right of a thing is what it comes from. Statements are verified as they are read.", "Из чего сделан выпуск и чем измерен: справа от каждой вещи стоит то, из чего она взялась. Подписи проверяются при чтении.", "版本由什么构成、用什么衡量：每项右侧是它的来源。声明在读取时验证。";
    reports: "Reports of evals", "Отчёты проверок", "评测报告";
    reports_about: "What came of suites of cases: which cases passed, and where a candidate answered otherwise than what it was held against.", "Результаты наборов случаев: какие пройдены и где кандидат ответил иначе, чем то, с чем его сравнивали.", "用例集的结果：哪些通过，以及候选与对照回答不同之处。";
    no_reports: "No report yet", "Отчётов пока нет", "还没有报告";
    report_changed: "its file was changed after it was kept: run the suite again", "файл изменён после записи: запустите набор заново", "文件在保存后被改动：请重新运行";
    no_reports_do: "`instar eval run builtin:golden --candidate ID` makes one.", "`instar eval run builtin:golden --candidate ID` создаёт отчёт.", "`instar eval run builtin:golden --candidate ID` 生成一份报告。";
    report: "Report", "Отчёт", "报告";
    suite: "Suite", "Набор", "用例集";
    passed: "Passed", "Пройдено", "通过";
    regressions: "Got worse", "Стало хуже", "变差";
    improvements: "Got better", "Стало лучше", "变好";
    difference: "Difference of pass rates", "Разность долей", "通过率之差";
    flaky: "Now so, now so", "То так, то иначе", "不稳定";
    all_cases: "All", "Все", "全部";
    other_answer: "Other answer", "Другой ответ", "回答不同";
    same_answer: "Same answer", "Тот же ответ", "回答相同";
    got_worse: "got worse", "стало хуже", "变差";
    got_better: "got better", "стало лучше", "变好";
    prompt: "What was asked", "Что спросили", "提问";
    // Events.
    kind: "Kind", "Вид", "类型";
    faults_about: "What goes wrong, grouped by cause as far as it can be told. Counted from the event log; the lab only gives the groups their names.", "Что идёт не так, сгруппировано по причине, насколько её можно определить. Считается по журналу событий; лаборатория лишь даёт группам имена.", "出错的情况，按可辨别的原因归组。计数来自事件日志；实验室只为各组命名。";
    no_faults: "No faults are known. The lab looks for them in quiet hours, or now with `instar lab run`.", "Сбоев не известно. Лаборатория ищет их в спокойное время или сейчас: `instar lab run`.", "尚无已知故障。实验室会在空闲时查找，也可立即运行 `instar lab run`。";
    fault_map: "Where they show, and in how many of a hundred occasions", "Где они проявляются и в каком проценте случаев", "出现的位置及占比";
    fault_by_day: "Failures by day, of all occasions", "Сбои по дням, из всех случаев", "每日失败（占全部机会）";
    fault_kind: "Kind", "Вид", "类型";
    fault_place: "Where", "Где", "位置";
    fault_share: "Failed", "Сбоев", "失败";
    fault_trend: "Trend", "Тенденция", "趋势";
    fault_examples: "Examples", "Примеры", "示例";
    fault_reached: "Conversations reached", "Затронуто бесед", "涉及的对话";
    fault_people: "People reached", "Затронуто людей", "涉及的人";
    fault_cost: "Cost of the turns that met it", "Стоимость ходов, где он был", "遇到它的轮次费用";
    fault_members: "Merged into it", "Объединено с ним", "已并入";
    fault_name: "Name", "Имя", "名称";
    fault_into: "Merge into", "Объединить с", "并入";
    fault_split: "Take out", "Отделить", "拆出";
    fault_mute: "Mute", "Скрыть", "静音";
    fault_unmute: "Put back on the list", "Вернуть в список", "恢复到列表";
    fault_keep: "Keep", "Сохранить", "保存";
    merges: "These may be one fault", "Возможно, это один сбой", "这些可能是同一个故障";
    merge_yes: "Merge them", "Объединить", "合并";
    merge_no: "They are two", "Это разные", "不是同一个";
    fault_divide: "Tell apart by the value at place", "Различать по значению на месте", "按此位置的值区分";
    fault_unite: "Tell apart no more", "Больше не различать", "不再区分";
    fault_trials: "Fixes on trial", "Исправления на испытании", "试验中的修复";
    no_trials: "Nothing was tried about it here yet. `instar heal explain` says what could be.", "Против этого здесь ещё ничего не пробовали. Что можно, скажет `instar heal explain`.", "这里还没有尝试过任何修复。`instar heal explain` 会说明可以做什么。";
    fault_tried: "How trials ended", "Чем кончились испытания", "试验的结果";
    fault_before_after: "Failure rate before the trial and in both arms, with intervals of 95 %", "Доля сбоев до испытания и в обеих ветвях, с интервалами 95 %", "试验前及两组的失败率（95% 区间）";
    fault_before: "before", "до", "之前";
    with_fix: "with the fix", "с исправлением", "有修复";
    without_fix: "without it", "без него", "无修复";
    no_coin: "no coin", "без жребия", "无随机对照";
    fix_share: "share with the fix", "доля с исправлением", "使用修复的比例";
    fault_curves: "Evidence over settled units, on a scale of powers", "Свидетельства по учтённым единицам, шкала степеней", "证据随已结算单元的变化（对数刻度）";
    that_helps: "it helps", "помогает", "有效";
    that_supports: "better than before, no proof", "лучше, чем было, но не доказано", "比以前好，但未证明";
    that_fails: "it does not", "не помогает", "无效";
    that_harms: "it harms", "вредит", "有害";
    decides_at: "decides at", "решает при", "判定界限";
    gives_up_at: "given up at", "оставляется при", "放弃界限";
    recipe: "Recipe", "Рецепт", "配方";
    fault_recent: "Recent exposures", "Последние случаи", "最近的机会";
    knowledge: "What trials taught", "Чему научили испытания", "试验所得";
    strategy_shares: "How the budget was spent", "Как израсходован бюджет", "预算的使用";
    strategy_about: "Parts of a hundred choices; the mark is the share that the strategy gives.", "Части от ста выборов; метка — доля, которую даёт стратегия.", "每百次选择中的份额；标记为策略给定的比例。";
    intent_repair: "repair", "починка", "修复";
    intent_optimize: "second tries", "вторые попытки", "再次尝试";
    intent_innovate: "never tried", "новое", "从未尝试";
    lab_run: "Look for faults now", "Искать сбои сейчас", "立即查找故障";
    lab_signs: "Signs", "Признаки", "迹象";
    lab_cycles: "Cycles of the lab", "Циклы лаборатории", "实验室运行";
    no_events: "No events yet", "Событий пока нет", "还没有事件";
    no_events_do: "Every message, turn, call and error leaves one.", "Каждое сообщение, ход, вызов и ошибка оставляет событие.", "每条消息、每轮、每次调用和错误都会留下一条。";
    // Agents.
    workspace: "Workspace", "Рабочая папка", "工作区";
    route: "Answers with", "Отвечает через", "使用模型";
    fallbacks: "then", "затем", "其次";
    files: "Identity files", "Файлы личности", "身份文件";
    characters: "characters", "знаков", "字符";
    cut: "cut", "обрезано", "已截断";
    limits: "Limits", "Пределы", "限制";
    model_calls: "model calls a turn", "вызовов модели за ход", "每轮模型调用";
    tool_calls: "tool calls a turn", "вызовов инструментов за ход", "每轮工具调用";
    seconds: "seconds a turn", "секунд на ход", "每轮秒数";
    tools: "Tools", "Инструменты", "工具";
    default: "default", "по умолчанию", "默认";
    agents_do: "Agents are rows of agents.entries in the configuration.", "Агенты — это строки agents.entries в настройках.", "代理是配置中 agents.entries 的条目。";
    // Models.
    context: "Context", "Контекст", "上下文";
    key: "Key", "Ключ", "密钥";
    priced: "Price known", "Цена известна", "已知价格";
    probe: "Try now", "Проверить", "立即测试";
    make_default: "Make it the default", "Сделать основной", "设为默认";
    all_models: "All models", "Все модели", "全部模型";
    probing: "Asking…", "Спрашиваю…", "正在询问…";
    answered: "answered in", "ответила за", "响应用时";
    not_answered: "no answer:", "нет ответа:", "无响应：";
    configured_only: "Configured", "Настроенные", "已配置";
    known_models: "All known", "Все известные", "全部已知";
    models_do: "Set one with `instar models set PROVIDER/MODEL`; a key goes in with `instar secrets set NAME`.", "Задайте модель: `instar models set PROVIDER/MODEL`; ключ: `instar secrets set NAME`.", "用 `instar models set PROVIDER/MODEL` 设置模型；用 `instar secrets set NAME` 存入密钥。";
    no_models: "No model is configured", "Модель не настроена", "没有配置模型";
    // Devices.
    waiting_devices: "Waiting for your word", "Ждут вашего слова", "等待您的批准";
    paired_devices: "Approved", "Одобренные", "已批准";
    approve: "Approve", "Одобрить", "批准";
    reject: "Reject", "Отклонить", "拒绝";
    revoke: "Remove", "Убрать", "移除";
    may: "May", "Может", "权限";
    address: "From", "Откуда", "来自";
    last_seen: "Last seen", "Последний раз", "最近连接";
    connected: "connected", "на связи", "已连接";
    never: "never", "никогда", "从未";
    no_devices: "No devices", "Устройств нет", "没有设备";
    no_devices_do: "A client of the control plane that proves a key appears here and waits for you. Whoever holds the gateway's token alone may read and write, and no more.", "Здесь появится клиент, доказавший свой ключ, и подождёт вас. Обладатель одного лишь токена шлюза может читать и писать, не больше.", "证明了密钥的控制面客户端会出现在这里等待您的批准。仅持有网关令牌者只能读写。";
    // Health.
    checks: "Checks", "Проверки", "检查";
    run_checks: "Run the checks", "Проверить", "运行检查";
    checks_note: "The model is asked for one word; that may take some seconds.", "Модель попросят сказать слово; это займёт несколько секунд.", "会请求模型回复一个词，可能需要几秒。";
    check: "Check", "Проверка", "检查项";
    verdict: "Verdict", "Вывод", "结论";
    next_step: "What to do", "Что делать", "建议";
    fine: "fine", "в порядке", "正常";
    notice: "notice", "к сведению", "提示";
    warning: "warning", "предупреждение", "警告";
    error: "error", "ошибка", "错误";
    version: "Version", "Версия", "版本号";
    uptime: "Up for", "Работает", "运行时间";
    process: "Process", "Процесс", "进程";
    memory: "Memory", "Память", "内存";
    state_folder: "State folder", "Папка состояния", "状态文件夹";
    config_file: "Configuration", "Настройки", "配置文件";
    store: "Store", "Хранилище", "存储";
    budget: "Budget", "Бюджет", "预算";
    running_turns: "Turns at work", "Ходов в работе", "进行中的轮次";
    uncertain: "Replies of unknown delivery", "Ответы с неизвестной доставкой", "送达状态未知的回复";
    all_well: "All is well.", "Всё в порядке.", "一切正常。";
    // Logs.
    level: "Level", "Уровень", "级别";
    and_worse: "and worse", "и хуже", "及更严重";
    no_logs: "The log is empty", "Журнал пуст", "日志为空";
    no_logs_do: "What the gateway does is written here as it happens.", "Всё, что делает шлюз, пишется сюда.", "网关的活动会实时写在这里。";
    // Configuration.
    config_about: "Every key of `instar.json`: what holds now, where that comes from and what it means. A change is checked and shown before it is written.", "Все ключи `instar.json`: что действует, откуда это взято и что значит. Изменение проверяется и показывается до записи.", "`instar.json` 的全部键：当前值、来源和含义。更改在写入前会先检查并预览。";
    config_find: "Find a key", "Найти ключ", "查找键";
    config_short: "This list is short. A search shows every key with the words, also those of entries by name, and all that is said of it.", "Это краткий список. Поиск показывает все подходящие ключи, включая ключи именованных записей, и полное описание.", "此处为简表。搜索会显示所有匹配的键（包括按名称列出的条目的键）及其完整说明。";
    config_only_set: "Only what is set", "Только заданные", "仅显示已设置";
    config_value: "Now", "Сейчас", "当前值";
    config_source: "Comes from", "Откуда", "来源";
    config_meaning: "Meaning", "Значение", "含义";
    config_takes: "Takes", "Принимает", "可取";
    config_default: "Default", "По умолчанию", "默认值";
    config_from_default: "default", "по умолчанию", "默认";
    config_from_file: "file", "файл", "文件";
    config_from_include: "included file", "подключённый файл", "包含的文件";
    config_from_variable: "environment", "окружение", "环境变量";
    config_waits: "waits for a restart", "ждёт перезапуска", "等待重启";
    config_new_value: "New value", "Новое значение", "新值";
    config_preview: "Show the change", "Показать изменение", "预览更改";
    config_unset: "Back to the default", "Вернуть по умолчанию", "恢复默认";
    config_write: "Write it", "Записать", "写入";
    config_again: "Change it again", "Исправить", "重新修改";
    config_not_yet: "Nothing is written yet. This is what would change in the file:", "Пока ничего не записано. Вот что изменится в файле:", "尚未写入。文件将有如下更改：";
    config_at_once: "The running gateway takes it at once.", "Работающий шлюз примет это сразу.", "运行中的网关会立即采用。";
    config_at_restart: "It takes effect when the gateway is started again.", "Вступит в силу после перезапуска шлюза.", "重启网关后生效。";
    config_same: "The file says so already; there is nothing to write.", "В файле это уже так, записывать нечего.", "文件中已是如此，无需写入。";
    config_written: "Written.", "Записано.", "已写入。";
    config_refused: "This cannot be written:", "Это нельзя записать:", "无法写入：";
    config_stale: "The file was changed by somebody else meanwhile. Look at it again before you write.", "Файл тем временем изменил кто-то другой. Посмотрите на него снова перед записью.", "文件已被他人修改。写入前请重新查看。";
    config_hidden: "A hidden text that you leave as it stands keeps its value.", "Скрытый текст, оставленный как есть, сохранит значение.", "保持隐藏文本不变即保留其值。";
    config_history: "Last changes of the file", "Последние изменения файла", "文件最近的更改";
    config_all_keys: "All keys", "Все ключи", "所有键";
    config_no_history: "Nobody has changed it since it was made.", "С момента создания его не меняли.", "创建以来无人更改。";
    config_who: "Who", "Кто", "来源";
}

impl Words {
    /// The languages there are, with the name that each gives itself.
    pub(super) const ALL: [(&'static str, &'static str, &'static Self); 3] = [
        ("en", "English", &ENGLISH),
        ("ru", "Русский", &RUSSIAN),
        ("zh", "简体中文", &CHINESE),
    ];

    /// What a command does, if it is told here.
    pub(super) fn command(&self, name: &str) -> Option<&'static str> {
        Some(match name {
            "new" => self.command_new,
            "reset" => self.command_reset,
            "stop" => self.command_stop,
            "status" => self.command_status,
            "model" => self.command_model,
            "compact" => self.command_compact,
            "approve" => self.command_approve,
            "help" => self.command_help,
            _ => return None,
        })
    }

    /// An effect by its stored name.
    pub(super) fn effect(&self, effect: Effect) -> &'static str {
        match effect {
            Effect::None => self.effect_none,
            Effect::Read => self.effect_read,
            Effect::Fetch => self.effect_fetch,
            Effect::Write => self.effect_write,
            Effect::Send => self.effect_send,
            Effect::Grant => self.effect_grant,
            Effect::Execute => self.effect_execute,
            Effect::Spend => self.effect_spend,
            Effect::Destroy => self.effect_destroy,
        }
    }

    pub(super) fn question_state(&self, state: QuestionState) -> &'static str {
        match state {
            QuestionState::Open => self.state_open,
            QuestionState::Approved => self.state_approved,
            QuestionState::Used => self.state_used,
            QuestionState::Denied => self.state_denied,
            QuestionState::Expired => self.state_expired,
            QuestionState::Void => self.state_void,
        }
    }

    /// An origin in a word; a word that is not known here stays as it is.
    pub(super) fn origin<'a>(&self, origin: &'a str) -> &'a str {
        match origin {
            "owner" => self.origin_owner,
            "system" => self.origin_system,
            "contact" => self.origin_contact,
            "stranger" => self.origin_stranger,
            "model" => self.origin_model,
            other => other,
        }
    }

    /// The same language for the questions of setting up.
    pub(super) fn tongue(&self) -> Tongue {
        Tongue::named(self.tag)
    }

    fn named(tag: &str) -> Option<&'static Self> {
        let first = tag.split(['-', '_']).next().unwrap_or(tag);
        Self::ALL
            .iter()
            .find(|(name, ..)| name.eq_ignore_ascii_case(first))
            .map(|(.., words)| *words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_empty_and_code_stands_in_every_language_alike() {
        for (name, row) in ROWS {
            let code = |text: &str| -> Vec<String> {
                text.split('`')
                    .skip(1)
                    .step_by(2)
                    .map(str::to_owned)
                    .collect()
            };
            for text in row {
                assert!(!text.trim().is_empty(), "{name}");
                assert_eq!(code(text), code(row[0]), "{name}");
            }
        }
    }
}
