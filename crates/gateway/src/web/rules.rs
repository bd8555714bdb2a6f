//! The built-in rules in the languages of the pages. English is what the rule says of itself.

use crate::setup::Tongue;

use super::words::Words;

/// A rule's name, in Russian, in Chinese.
const TOLD: [(&str, &str, &str); 16] = [
    (
        "profile-reads",
        "Читать собственные хранилища владельца можно свободно; прочитанное сохраняет свою метку.",
        "读取所有者自己的数据是自由的；读到的内容保留其标签。",
    ),
    (
        "owner-approved",
        "Владелец сказал «да» именно этому вызову.",
        "所有者同意了这一次调用。",
    ),
    (
        "standing-rule",
        "Постоянное правило владельца покрывает именно этот вызов.",
        "所有者的长期规则恰好涵盖此调用。",
    ),
    (
        "posture-open",
        "В режиме open проходит всё, чего не останавливает правило ниже.",
        "在 open 姿态下，凡未被下列规则阻止的都放行。",
    ),
    (
        "evidence",
        "Кто и куда подтверждены так, как требует действие, и вызов есть в плане.",
        "对象与去处的依据满足该操作的要求，且调用在计划之中。",
    ),
    (
        "own-words",
        "Говорил только владелец, и вызов есть в плане.",
        "只有所有者发过言，且调用在计划之中。",
    ),
    (
        "secret",
        "С тем, что никто не должен видеть, не делается ничего.",
        "任何人都不得查看的内容不作任何处理。",
    ),
    (
        "refused-twice",
        "После двух отказов запуск больше ничего не делает.",
        "被拒绝两次之后，本次运行不再执行任何操作。",
    ),
    (
        "weak-evidence",
        "Отправка, общий доступ, запуск, оплата и удаление спрашивают, если кто, куда или что указано только в чужом тексте.",
        "若对象、去处或目标仅出现在他人的文本中，发送、共享、运行、付款和删除都会询问。",
    ),
    (
        "foreign-payload",
        "Ссылки, адреса и коды, написанные другими, без вопроса не передаются.",
        "他人写下的链接、地址和代码未经询问不会转交。",
    ),
    (
        "not-cleared",
        "Прочитанное только для владельца без вопроса никуда не уносится.",
        "仅供所有者阅读的内容未经询问不会带往别处。",
    ),
    (
        "posture-careful",
        "В режиме careful спрашивает каждое действие.",
        "在 careful 姿态下，每个操作都会询问。",
    ),
    (
        "nobody-asked",
        "Запуск, который начался не с сообщения владельца, спрашивает перед каждым действием.",
        "不是由所有者消息发起的运行，在每个操作之前都会询问。",
    ),
    (
        "not-in-plan",
        "То, чего слова владельца не требуют, спрашивает.",
        "所有者的话并不需要的操作会询问。",
    ),
    (
        "not-asked-by-verb",
        "Необратимое спрашивает, если об этом не просит глагол владельца.",
        "无法撤销的操作会询问，除非所有者用动词明确要求。",
    ),
    (
        "weak-place",
        "Загрузка и запись спрашивают, если место указано только в чужом тексте.",
        "若去处仅出现在他人的文本中，获取和写入会询问。",
    ),
];

/// What a built-in rule says, where that is not English.
pub(super) fn told(words: &Words, rule: &str) -> Option<&'static str> {
    let (_, russian, chinese) = TOLD.iter().find(|(name, ..)| *name == rule)?;
    match words.tongue() {
        Tongue::English => None,
        Tongue::Russian => Some(russian),
        Tongue::Chinese => Some(chinese),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_rule_is_told_in_every_language_and_no_other_is() {
        let rules = instar_policy::cedar::Rules::default();
        let names: Vec<&str> = rules.all().map(|rule| rule.rule.as_str()).collect();
        let told: Vec<&str> = TOLD.iter().map(|(name, ..)| *name).collect();
        assert_eq!(names, told);
    }
}
