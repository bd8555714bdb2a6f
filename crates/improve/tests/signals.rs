//! Signs in events and texts: what is one, and what only looks like one.

use instar_improve::signal::text::{corrects, read};
use instar_improve::signal::{Sign, Watch, frames};
use instar_protocol::event::{
    ErrorClass, Event, EventKind, FeedbackVerdict, GatewayFact, TurnOutcome,
};
use instar_protocol::fault::SignalKind::{self, *};
use instar_protocol::model::{Attempt, ModelRef, StopReason, Usage};
use instar_protocol::tool::ToolDecision;
use instar_protocol::{EventId, RunId, Timestamp};

fn kinds(text: &str) -> Vec<SignalKind> {
    read(text).iter().map(|reading| reading.kind).collect()
}

#[test]
fn each_kind_is_read_in_each_language() {
    let told: &[(SignalKind, &[&str])] = &[
        (
            Timeout,
            &[
                "the request timed out after 30 s",
                "timeout of 30000ms exceeded",
                "время ожидания истекло",
                "произошёл таймаут",
                "请求超时",
                "連線逾時",
                "タイムアウトが発生しました",
                "Zeitüberschreitung bei der Anfrage",
                "tiempo de espera agotado",
                "délai d'attente dépassé",
                "could not answer: timeout",
            ],
        ),
        (
            RateLimit,
            &[
                "Too Many Requests",
                "rate limit exceeded, retry in 3 s",
                "слишком много запросов",
                "请求过于频繁",
                "請求過於頻繁",
                "リクエストが多すぎます",
                "zu viele Anfragen",
                "demasiadas solicitudes",
                "trop de requêtes",
            ],
        ),
        (
            Network,
            &[
                "connection refused",
                "could not connect to 10.0.0.1",
                "не удалось подключиться",
                "无法连接到服务器",
                "無法連線到伺服器",
                "サーバーに接続できませんでした",
                "Verbindung abgelehnt",
                "no se pudo conectar",
                "connexion refusée",
            ],
        ),
        (
            Permission,
            &[
                "Permission denied",
                "отказано в доступе",
                "没有权限",
                "沒有權限",
                "権限がありません",
                "Zugriff verweigert",
                "permiso denegado",
                "accès refusé",
            ],
        ),
        (
            NotFound,
            &[
                "No such file or directory",
                "404 not found",
                "user not found",
                "файл не найден",
                "找不到文件",
                "檔案不存在",
                "ファイルが見つかりませんでした",
                "Datei nicht gefunden",
                "no se encontró el archivo",
                "fichier introuvable",
            ],
        ),
        (
            Storage,
            &[
                "No space left on device",
                "нет места на диске",
                "磁盘已满",
                "磁碟已滿",
                "ディスクがいっぱいです",
                "Festplatte voll",
                "disco lleno",
                "disque plein",
            ],
        ),
        (
            ArgumentShape,
            &[
                "missing required property 'path'",
                "неверный аргумент",
                "缺少参数 path",
                "缺少參數 path",
                "引数が不正です",
                "ungültiges Argument",
                "argumento inválido",
                "argument manquant",
            ],
        ),
        (
            ContextLength,
            &[
                "maximum context length is 8192 tokens",
                "превышена длина контекста",
                "上下文过长",
                "上下文過長",
                "プロンプトが長すぎます",
                "Kontext zu lang",
                "contexto demasiado largo",
                "contexte trop long",
            ],
        ),
        (
            ExitCode,
            &[
                "command exited with code 2",
                "exit status 137",
                "код возврата 1",
                "退出码 1",
                "退出代碼: 1",
                "終了コードは 3",
                "Exit-Code 4",
                "código de salida 1",
                "code de sortie 1",
            ],
        ),
        (
            Exception,
            &[
                "TypeError: bad id 42",
                "java.lang.NullPointerException",
                "thread 'main' panicked at src/a.rs:1",
                "возникло исключение TypeError",
                "抛出了 TypeError",
                "TypeErrorが発生しました",
            ],
        ),
        (
            HttpStatus,
            &[
                "HTTP 500",
                "HTTP/1.1 502 Bad Gateway",
                "status code: 418",
                "служба вернула код состояния 503",
                "сервер: статус 500",
                "код ответа 502",
                "服务器返回状态码 500",
                "服务器返回状态码500",
                "伺服器回傳狀態碼 500",
                "回應碼：502",
                "ステータスコードは500",
                "ステータスコード 500",
            ],
        ),
    ];
    for (kind, texts) in told {
        for text in *texts {
            assert_eq!(kinds(text).first(), Some(kind), "{text}: {:?}", read(text));
        }
    }
}

#[test]
fn what_did_not_happen_is_no_sign() {
    for text in [
        "No timeout occurred, latency is fine",
        "the timeout was not reached",
        "timeouts were never observed",
        "finished without a timeout",
        "timeout=30",
        "the default timeout is 30 seconds",
        "set the timeout to 5 s",
        "таймаута не было",
        "без таймаутов",
        "таймаут не произошёл",
        "没有超时",
        "未超时",
        "沒有逾時",
        "超时没有发生",
        "タイムアウトは発生しませんでした",
        "タイムアウトしていません",
        "タイムアウトはありません",
        "kein Timeout",
        "ohne Zeitüberschreitung",
        "sin timeout",
        "aucun timeout",
        "exit code 0",
        "код возврата 0",
        "退出码 0",
        "終了コード 0",
        "HTTP 200 OK",
        "status 204",
        "no connection refused this time",
        "no HTTP 500 was seen",
        "HTTP 500 was never observed",
        "the server did not return HTTP 503",
        "код ответа 500 не наблюдался",
        "без статуса 500",
        "没有返回状态码 500",
        "沒有回傳狀態碼 500",
        "ステータスコード 500 は発生しませんでした",
        "finished without a TypeError",
        "no ValueError was raised",
        "ValueError was not raised",
        "Не было TypeError",
        "без TypeError",
        "没有抛出 TypeError",
        "沒有拋出 TypeError",
        "TypeErrorは発生しませんでした",
        "never exited with code 1",
        "no exit code 2",
        "не завершился с кодом 1",
        "没有以退出码 1",
        "沒有以退出碼 1",
        "終了コード 1 は発生しませんでした",
        "ohne TypeError",
        "sin TypeError",
        "sans TypeError",
        "0 errors, 0 exceptions",
        "room 404 is free",
        "an exceptional day",
        "prompt handling is fine",
        "nothing to see here",
    ] {
        assert_eq!(kinds(text), [], "{text}");
    }
}

/// The phrases of each kind, taken back in each language.
#[test]
fn what_was_taken_back_is_no_sign_in_any_language() {
    for text in [
        "no rate limit exceeded errors",
        "没有请求过多",
        "沒有請求過多",
        "no connection refused, no timeout",
        "没有连接失败",
        "沒有連線失敗",
        "no permission denied errors",
        "no disk full condition",
        "диск не переполнен",
        "没有磁盘已满",
        "沒有磁碟已滿",
        "no missing required fields",
        "没有参数错误",
        "沒有參數錯誤",
        "no context length exceeded",
        "没有上下文过长",
        "沒有上下文過長",
        "no file not found errors",
    ] {
        assert_eq!(kinds(text), [], "{text}");
    }
}

#[test]
fn a_denial_of_one_thing_does_not_deny_another() {
    assert_eq!(kinds("no timeout, but connection refused"), [Network]);
    assert_eq!(kinds("could not connect: timed out"), [Timeout, Network]);
    assert_eq!(
        kinds("タイムアウトのため接続できませんでした"),
        [Timeout, Network]
    );
}

#[test]
fn details_are_what_programs_wrote() {
    let detail = |text: &str| read(text).first().map(|reading| reading.detail.clone());
    assert_eq!(detail("exited with code 137").as_deref(), Some("137"));
    assert_eq!(detail("ValueError: x").as_deref(), Some("ValueError"));
    assert_eq!(kinds("HTTP 429 Too Many Requests"), [HttpStatus, RateLimit]);
    assert_eq!(detail("HTTP/2 503").as_deref(), Some("503"));
}

#[test]
fn corrections_are_heard_in_each_language_and_thanks_are_not() {
    for text in [
        "No, that’s wrong",
        "this is not what I asked",
        "нет, это не то",
        "я имел в виду вторник",
        "不对，是明天",
        "不對，是明天",
        "違います、明日です",
        "das stimmt nicht",
        "no es lo que pedí",
        "ce n'est pas ce que je voulais",
        "no, it does not work",
        "please try again",
        "I said Tuesday",
        "это не работает",
        "попробуй ещё раз",
        "你错了",
        "這個沒有用",
        "これは違います",
        "まだ動きません",
        "das funktioniert nicht",
        "eso no funciona",
        "ça ne marche pas",
    ] {
        assert!(corrects(text), "{text}");
    }
    for text in [
        "thank you, that is right",
        "спасибо",
        "谢谢",
        "謝謝",
        "ありがとう",
        "danke",
        "gracias",
        "merci",
        "what is wrong with my car?",
        "I never said that is wrong",
        "my printer does not work, what can I do?",
        "we should try again on Monday",
        "what he said is what I meant",
        "у меня принтер не работает, что делать?",
        "никто не говорит, что сосед не работает",
        "我的打印机没有用了怎么办",
        "昨天我错了",
        "我的印表機沒有用了怎麼辦",
        "昨日とは違う服",
        "プリンターが動きません",
        "mein Drucker funktioniert nicht",
        "mi impresora no funciona",
        "mon imprimante ne marche pas",
    ] {
        assert!(!corrects(text), "{text}");
    }
}

#[test]
fn frames_are_the_same_wherever_the_lines_moved() {
    let trace = |line: u32| {
        format!(
            "Traceback (most recent call last):\n  File \"/srv/{line}/main.py\", line {line}, in run\n    go()\n  File \
             \"/srv/a.py\", line {line}, in load\n    x\nValueError: x"
        )
    };
    assert!(frames(&trace(1)).is_some());
    assert_eq!(frames(&trace(1)), frames(&trace(99)));
    assert_ne!(
        frames(&trace(1)),
        frames(&trace(1).replace("in load", "in save"))
    );
    assert_ne!(frames("E\n at f (/a/b.js:1:2)\n at g (/c.js:3:4)"), None);
    assert_eq!(frames("no trace at all"), None);
}

fn event(run: &str, kind: EventKind) -> Event {
    let at = Timestamp::from_millis(1);
    Event {
        run: Some(RunId::from_stored(run)),
        ..Event::of_house(EventId::new(at, [0; 10]), at, kind)
    }
}

fn call(tool: &str, is_error: bool, content: Option<&str>) -> EventKind {
    EventKind::ToolCall {
        tool: tool.to_owned(),
        decision: ToolDecision::Allowed {
            rule: "r".to_owned(),
        },
        millis: 1,
        is_error,
        argument_names: vec!["url".to_owned(), "body".to_owned()],
        skill: None,
        content: content.map(str::to_owned),
    }
}

fn turn(outcome: TurnOutcome, cost_micros: u64) -> EventKind {
    EventKind::Turn {
        outcome,
        millis: 1,
        model_calls: 1,
        tool_calls: 0,
        usage: Usage::default(),
        cost_micros,
    }
}

fn model(attempts: usize, error: Option<ErrorClass>, stop: Option<StopReason>) -> EventKind {
    let model: ModelRef = serde_json::from_value("p/m".into()).unwrap();
    let attempt = |number: usize| Attempt {
        model: model.clone(),
        millis: 1,
        failure: (number + 1 < attempts || error.is_some()).then(|| "HTTP 503".to_owned()),
        usage: Usage::default(),
        cost_micros: 0,
        estimated: false,
    };
    EventKind::ModelCall {
        model: model.clone(),
        stop,
        millis: 1,
        usage: Usage::default(),
        cost_micros: 0,
        attempts: (0..attempts).map(attempt).collect(),
        error,
    }
}

fn signs(events: &[EventKind]) -> Vec<Sign> {
    let mut watch = Watch::default();
    events
        .iter()
        .flat_map(|kind| watch.take(&event("run_1", kind.clone())))
        .collect()
}

fn kinds_of(events: &[EventKind]) -> Vec<SignalKind> {
    signs(events).iter().map(|sign| sign.kind).collect()
}

#[test]
fn fields_come_before_words() {
    // The class says rate, the text would say something else.
    let rate = signs(&[model(1, Some(ErrorClass::Rate), None)]);
    assert_eq!(
        (rate[0].kind, rate[0].place.as_str()),
        (RateLimit, "model:p/m")
    );
    assert_eq!(rate[0].also, [HttpStatus]);
    assert_eq!(
        kinds_of(&[model(1, Some(ErrorClass::Server), None)]),
        [ProviderError]
    );
    assert_eq!(kinds_of(&[model(1, Some(ErrorClass::Cancelled), None)]), []);
    assert_eq!(
        kinds_of(&[model(2, None, Some(StopReason::Stop))]),
        [Retries]
    );
    assert_eq!(kinds_of(&[model(1, None, Some(StopReason::Stop))]), []);
    assert_eq!(
        kinds_of(&[model(1, None, Some(StopReason::Refusal))]),
        [ProviderError]
    );
}

#[test]
fn a_failed_call_is_what_it_said_and_where() {
    let told = signs(&[call(
        "fetch",
        true,
        Some("GET x\nconnection refused by 10.0.0.1"),
    )]);
    assert_eq!(
        (told[0].kind, told[0].place.as_str()),
        (Network, "tool:fetch")
    );
    assert_eq!(told[0].text, "connection refused by 10.0.0.1");
    let shape = signs(&[call(
        "fetch",
        true,
        Some("missing required property 'path'"),
    )]);
    assert_eq!(
        (shape[0].kind, shape[0].detail.as_str()),
        (ArgumentShape, "body,url")
    );
    assert_eq!(
        kinds_of(&[call("fetch", true, Some("the moon is wrong"))]),
        [ToolError]
    );
    assert_eq!(kinds_of(&[call("fetch", false, None)]), []);
    let refused = EventKind::ToolCall {
        tool: "exec".to_owned(),
        decision: ToolDecision::Denied {
            rule: "walls".to_owned(),
            reason: String::new(),
        },
        millis: 0,
        is_error: true,
        argument_names: Vec::new(),
        skill: None,
        content: None,
    };
    assert_eq!(kinds_of(&[refused]), [RefusedCall]);
}

#[test]
fn calls_that_repeat_and_calls_that_recover_are_told_once() {
    let same = vec![call("search", false, None); 9];
    assert_eq!(kinds_of(&same), [RepeatedCall]);
    assert_eq!(kinds_of(&same[..4]), []);
    let recovered = [
        call("fetch", true, Some("x")),
        call("fetch", false, None),
        call("fetch", false, None),
    ];
    assert_eq!(kinds_of(&recovered), [ToolError, Retries]);
}

#[test]
fn turns_that_are_cut_or_dear_are_told() {
    assert_eq!(kinds_of(&[turn(TurnOutcome::Aborted, 0)]), [Abandoned]);
    assert_eq!(
        kinds_of(&[
            turn(TurnOutcome::Interrupted, 0),
            turn(TurnOutcome::Replied, 0)
        ]),
        []
    );
    let mut turns = vec![turn(TurnOutcome::Replied, 2_000); 30];
    assert_eq!(kinds_of(&turns), []);
    turns.push(turn(TurnOutcome::Replied, 40_000));
    turns.push(turn(TurnOutcome::Replied, 4_000));
    assert_eq!(kinds_of(&turns), [CostSpike]);
}

#[test]
fn the_turn_the_user_and_the_machine_have_signs_of_their_own() {
    let error = |class, content: Option<&str>| EventKind::Error {
        class,
        content: content.map(str::to_owned),
    };
    assert_eq!(kinds_of(&[error(ErrorClass::Loop, None)]), [RepeatedCall]);
    assert_eq!(kinds_of(&[error(ErrorClass::Timeout, None)]), [Timeout]);
    // Its model call has told it.
    assert_eq!(kinds_of(&[error(ErrorClass::Rate, None)]), []);
    let bad = EventKind::Feedback {
        run: RunId::from_stored("run_1"),
        verdict: FeedbackVerdict::Bad,
        content: None,
    };
    assert_eq!(kinds_of(&[bad]), [Correction]);
    let full = EventKind::Gateway {
        what: GatewayFact::StorageFull,
    };
    assert_eq!(kinds_of(&[full]), [Storage]);
}
