//! Each kind that is read from text, in each language and script: what is one, and what only speaks of it.
//!
//! The other kinds are read from fields of events alone and have no language: see `signals`.

use instar_improve::signal::text::{corrects, read};
use instar_protocol::fault::SignalKind::{self, *};

/// Readings that are true, and texts that are no sign.
type Readings = (&'static [&'static str], &'static [&'static str]);

struct Row {
    kind: SignalKind,
    english: Readings,
    russian: Readings,
    /// Chinese, in simplified and in traditional script.
    simplified: Readings,
    traditional: Readings,
    japanese: Readings,
}

impl Row {
    fn all(&self) -> [(&'static str, Readings); 5] {
        [
            ("English", self.english),
            ("Russian", self.russian),
            ("simplified", self.simplified),
            ("traditional", self.traditional),
            ("Japanese", self.japanese),
        ]
    }
}

const ROWS: &[Row] = &[
    Row {
        kind: Timeout,
        english: (
            &[
                "the request timed out after 30 s",
                "timeout of 30000ms exceeded",
            ],
            &[
                "the timeout was not reached",
                "no request timed out",
                "set the timeout to 5 s",
            ],
        ),
        russian: (
            &[
                "время ожидания истекло",
                "произошёл таймаут",
                "превышен лимит времени",
            ],
            &[
                "таймаута не было",
                "без таймаутов",
                "время ожидания истекло не было замечено",
                "увеличьте таймаут",
            ],
        ),
        simplified: (
            &["请求超时", "连接超时，请重试"],
            &[
                "没有超时",
                "没有发生连接超时",
                "请求未超时",
                "超时设置为 30 秒",
            ],
        ),
        traditional: (
            &["連線逾時", "請求逾時"],
            &["沒有逾時", "沒有發生請求逾時", "逾時設定為 30 秒"],
        ),
        japanese: (
            &["タイムアウトが発生しました", "時間切れです"],
            &[
                "タイムアウトは発生しませんでした",
                "タイムアウトすることはありませんでした",
                "タイムアウトの設定は30秒です",
            ],
        ),
    },
    Row {
        kind: RateLimit,
        english: (
            &["Too Many Requests", "rate limit exceeded, retry in 3 s"],
            &[
                "we were never rate limited",
                "the rate limit is 60 per minute",
                "too many requests was not observed",
            ],
        ),
        russian: (
            &["слишком много запросов", "превышена квота"],
            &[
                "слишком много запросов не было",
                "не превышена квота",
                "ошибки «слишком много запросов» не было",
            ],
        ),
        simplified: (
            &["请求过于频繁", "配额已用尽"],
            &["没有请求过多", "没有出现请求过于频繁的情况"],
        ),
        traditional: (
            &["請求過於頻繁", "配額已用盡"],
            &["沒有請求過多", "沒有出現請求過於頻繁的情況"],
        ),
        japanese: (
            &["リクエストが多すぎます", "レート制限を超えました"],
            &[
                "レート制限を超えませんでした",
                "リクエストが多すぎることはありません",
                "レート制限を超えていません",
            ],
        ),
    },
    Row {
        kind: Network,
        english: (
            &["connection refused", "could not resolve host example.org"],
            &[
                "no connection refused this time",
                "connection reset was not observed",
                "it never failed to connect",
            ],
        ),
        russian: (
            &["не удалось подключиться", "соединение сброшено"],
            &[
                "соединение сброшено не было",
                "без ошибки «соединение отклонено»",
                "ни разу соединение разорвано не было",
            ],
        ),
        simplified: (
            &["无法连接到服务器", "连接被拒绝"],
            &["没有连接失败", "没有出现连接被拒绝", "未发生连接被重置"],
        ),
        traditional: (
            &["無法連線到伺服器", "連接被拒絕"],
            &["沒有連線失敗", "沒有出現連接被拒絕", "未發生連線失敗"],
        ),
        japanese: (
            &["サーバーに接続できませんでした", "接続が拒否されました"],
            &[
                "接続が拒否されることはありませんでした",
                "接続に失敗しませんでした",
                "接続に失敗したことはありません",
            ],
        ),
    },
    Row {
        kind: Permission,
        english: (
            &["Permission denied", "403 Forbidden"],
            &[
                "no permission denied errors",
                "access denied was never seen",
                "permission was not denied",
            ],
        ),
        russian: (
            &["отказано в доступе", "недостаточно прав"],
            &[
                "не было отказано в доступе",
                "в доступе не отказано",
                "ошибки «доступ запрещён» не было",
            ],
        ),
        simplified: (
            &["没有权限", "权限不足"],
            &["没有出现权限不足", "并未拒绝访问", "有权限"],
        ),
        traditional: (
            &["沒有權限", "存取被拒"],
            &["沒有出現權限不足", "並未拒絕存取", "有權限"],
        ),
        japanese: (
            &["権限がありません", "アクセスが拒否されました"],
            &[
                "アクセスが拒否されることはありません",
                "アクセスが拒否されませんでした",
                "権限があります",
            ],
        ),
    },
    Row {
        kind: NotFound,
        english: (
            &["No such file or directory", "user not found"],
            &[
                "no file not found errors",
                "the error 'file not found' did not occur",
            ],
        ),
        russian: (
            &["файл не найден", "команда не найдена"],
            &[
                "файл найден",
                "ошибки «файл не найден» не было",
                "без ошибки «не найден»",
            ],
        ),
        simplified: (
            &["找不到文件", "文件不存在"],
            &["没有出现找不到文件的情况", "文件存在", "并非不存在"],
        ),
        traditional: (
            &["檔案不存在", "找不到檔案"],
            &["沒有出現找不到檔案的情況", "檔案存在", "並非不存在"],
        ),
        japanese: (
            &["ファイルが見つかりませんでした", "存在しません"],
            &[
                "ファイルが見つからないことはありませんでした",
                "ファイルが見つかりました",
            ],
        ),
    },
    Row {
        kind: Storage,
        english: (
            &["No space left on device", "database is locked"],
            &[
                "no disk full condition",
                "'database is locked' did not happen",
            ],
        ),
        russian: (
            &["нет места на диске", "диск переполнен"],
            &["диск не переполнен", "ошибки «нет места на диске» не было"],
        ),
        simplified: (
            &["磁盘已满", "磁盘空间不足"],
            &["没有磁盘已满", "没有出现磁盘空间不足", "磁盘未满"],
        ),
        traditional: (
            &["磁碟已滿", "磁碟空間不足"],
            &["沒有磁碟已滿", "沒有出現磁碟空間不足", "磁碟未滿"],
        ),
        japanese: (
            &["ディスクがいっぱいです", "空き容量が不足しています"],
            &[
                "ディスクがいっぱいではありません",
                "空き容量が不足していません",
                "空き容量が不足することはありません",
            ],
        ),
    },
    Row {
        kind: ArgumentShape,
        english: (
            &["missing required property 'path'", "expected a string"],
            &[
                "no missing required fields",
                "invalid arguments were never seen",
            ],
        ),
        russian: (
            &["неверный аргумент", "отсутствует обязательное поле"],
            &[
                "ошибки «неверный аргумент» не было",
                "это не неверный аргумент",
            ],
        ),
        simplified: (
            &["缺少参数 path", "参数无效"],
            &["没有参数错误", "没有缺少参数", "没有出现参数无效"],
        ),
        traditional: (
            &["缺少參數 path", "參數無效"],
            &["沒有參數錯誤", "沒有缺少參數", "沒有出現參數無效"],
        ),
        japanese: (
            &["引数が不正です", "引数が足りません"],
            &["引数が不正ではありません", "無効な引数はありませんでした"],
        ),
    },
    Row {
        kind: ContextLength,
        english: (
            &[
                "maximum context length is 8192 tokens",
                "prompt is too long",
            ],
            &[
                "no context length exceeded",
                "the maximum context length was not reached",
            ],
        ),
        russian: (
            &["превышена длина контекста", "слишком длинный запрос"],
            &[
                "не превышена длина контекста",
                "это не слишком длинный запрос",
            ],
        ),
        simplified: (
            &["上下文过长", "超出上下文长度"],
            &["没有上下文过长", "未超出上下文长度", "没有出现上下文过长"],
        ),
        traditional: (
            &["上下文過長", "超出上下文長度"],
            &["沒有上下文過長", "未超出上下文長度", "沒有出現上下文過長"],
        ),
        japanese: (
            &["プロンプトが長すぎます", "コンテキスト長を超えました"],
            &[
                "コンテキスト長を超えていません",
                "プロンプトが長すぎることはありません",
            ],
        ),
    },
    Row {
        kind: ExitCode,
        english: (
            &["command exited with code 2", "exit status 137"],
            &[
                "exit code 0",
                "never exited with code 1",
                "did not exit with code 1",
            ],
        ),
        russian: (
            &["код возврата 1", "завершился с кодом 2"],
            &["код возврата 0", "не завершился с кодом 1"],
        ),
        simplified: (
            &["退出码 1", "退出代码：2"],
            &["退出码 0", "没有以退出码 1"],
        ),
        traditional: (
            &["退出碼 1", "退出代碼: 1"],
            &["退出碼 0", "沒有以退出碼 1"],
        ),
        japanese: (
            &["終了コードは 3", "終了コード 127"],
            &["終了コード 0", "終了コード 1 は発生しませんでした"],
        ),
    },
    Row {
        kind: Exception,
        english: (
            &[
                "TypeError: bad id 42",
                "thread 'main' panicked at src/a.rs:1",
            ],
            &[
                "finished without a TypeError",
                "no ValueError was raised",
                "an exceptional day",
            ],
        ),
        russian: (
            &["возникло исключение TypeError"],
            &[
                "без TypeError",
                "Не было TypeError",
                "TypeError не возникло",
            ],
        ),
        simplified: (
            &["抛出了 TypeError"],
            &["没有抛出 TypeError", "没有发生 TypeError"],
        ),
        traditional: (
            &["拋出了 TypeError"],
            &["沒有拋出 TypeError", "沒有發生 TypeError"],
        ),
        japanese: (
            &["TypeErrorが発生しました"],
            &[
                "TypeErrorは発生しませんでした",
                "TypeErrorが発生することはありませんでした",
            ],
        ),
    },
    Row {
        kind: HttpStatus,
        english: (
            &["HTTP 500", "status code: 418"],
            &["HTTP 200 OK", "no HTTP 500 was seen", "room 404 is free"],
        ),
        russian: (
            &["сервер: статус 500", "код ответа 502"],
            &[
                "код ответа 200",
                "код ответа 500 не наблюдался",
                "без статуса 500",
            ],
        ),
        simplified: (
            &["服务器返回状态码 500", "状态码为 503"],
            &["状态码 200", "没有返回状态码 500"],
        ),
        traditional: (
            &["伺服器回傳狀態碼 500", "回應碼：502"],
            &["狀態碼 200", "沒有回傳狀態碼 500"],
        ),
        japanese: (
            &["ステータスコードは500", "ステータスコード 502"],
            &[
                "ステータスコード 200",
                "ステータスコード 500 は発生しませんでした",
            ],
        ),
    },
];

const CORRECTIONS: Row = Row {
    kind: Correction,
    english: (
        &["No, that's wrong", "I said Tuesday", "please try again"],
        &[
            "thank you, that is right",
            "I never said that is wrong",
            "we should try again on Monday",
            "is it true that he said so?",
        ],
    ),
    russian: (
        &[
            "нет, это не то",
            "я имел в виду вторник",
            "попробуй ещё раз",
        ],
        &[
            "спасибо, всё верно",
            "у меня принтер не работает, что делать?",
            "никто не говорит, что сосед не работает",
        ],
    ),
    simplified: (
        &["不对，是明天", "你错了", "我的意思是下周"],
        &[
            "谢谢，对了",
            "我的打印机没有用了怎么办",
            "没有不对",
            "昨天我错了",
        ],
    ),
    traditional: (
        &["不對，是明天", "這個沒有用", "我不是這個意思"],
        &["謝謝，對了", "我的印表機沒有用了怎麼辦", "沒有不對"],
    ),
    japanese: (
        &[
            "違います、明日です",
            "まだ動きません",
            "それは間違っています",
        ],
        &[
            "ありがとう、合っています",
            "プリンターが動きません",
            "間違っていません",
            "昨日とは違う服",
        ],
    ),
};

#[test]
fn each_kind_that_is_read_has_true_and_false_readings_in_each_language() {
    let mut wrong = Vec::new();
    for row in ROWS {
        for (language, (told, denied)) in row.all() {
            assert!(
                !told.is_empty() && denied.len() > 1,
                "{language} {:?}",
                row.kind
            );
            for text in told {
                let first = read(text).first().map(|reading| reading.kind);
                if first != Some(row.kind) {
                    wrong.push(format!(
                        "{language}: {text} is {first:?} and not {:?}",
                        row.kind
                    ));
                }
            }
            for text in denied {
                let found = read(text);
                if !found.is_empty() {
                    wrong.push(format!("{language}: {text} is none, and not {found:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_correction_is_heard_and_what_only_sounds_like_one_is_not_in_each_language() {
    let mut wrong: Vec<&str> = Vec::new();
    for (language, (told, denied)) in CORRECTIONS.all() {
        assert!(told.len() > 1 && denied.len() > 1, "{language}");
        wrong.extend(told.iter().copied().filter(|text| !corrects(text)));
        wrong.extend(denied.iter().copied().filter(|text| corrects(text)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A kind is read from text, or from the fields of an event alone.
#[test]
fn the_table_and_the_fields_are_all_kinds_there_are() {
    let mut kinds: Vec<SignalKind> = ROWS.iter().map(|row| row.kind).collect();
    kinds.push(CORRECTIONS.kind);
    kinds.extend([
        ToolError,
        ProviderError,
        Retries,
        RefusedCall,
        RepeatedCall,
        Abandoned,
        CostSpike,
    ]);
    kinds.sort_unstable();
    let mut all = SignalKind::ALL.to_vec();
    all.sort_unstable();
    assert_eq!(kinds, all);
}
