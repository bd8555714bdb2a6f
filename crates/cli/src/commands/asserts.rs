//! Who looks at answers: a confined job of the gateway's own executable that holds assertions of the owner against
//! them. It has no network and no file; a model that grades is asked over its one line, if there is one. It is not
//! told whose answers they are.

use instar_evals::{
    Answer, Arm, Call, Files, Grader, Options, Outcome, Provider, ProviderSpec, Providers, Report,
    Suite, SuiteError, Trouble, run,
};
use instar_protocol::judge::{
    ANSWERS_MAX, ASSERTS_MAX, Asserted, Asserting, Graded, Held, Places, TOLD_CHARS_MAX,
};
use instar_sandbox::confined::{LineError, Post};
use serde_json::{Value, json};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Does all of it; the exit code tells where nobody is there to be told.
pub(crate) fn look(mut post: Post) -> u8 {
    u8::from(sit(&mut post).is_err())
}

fn sit(post: &mut Post) -> Result<(), LineError> {
    let work: Asserting = post.hear()?;
    let line = Line(Mutex::new(post));
    let grader = work.has_grader.then_some(&line as &dyn Grader);
    let each = work.answers.iter().take(ANSWERS_MAX);
    let answers = each.map(|answer| held(&work, answer, grader)).collect();
    let post = line.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    post.tell(&Asserted::Done { answers })
}

fn held(work: &Asserting, answer: &str, grader: Option<&dyn Grader>) -> Held {
    if work.asserts.len() > ASSERTS_MAX {
        return Held::undecided(format!("there are more than {ASSERTS_MAX} of them"));
    }
    let mut found = Held::sound();
    for (number, assertion) in work.asserts.iter().enumerate() {
        let one = match report(&work.question, assertion, answer, grader) {
            Ok(report) => read(&report),
            Err(error) => Held::undecided(cut(&error.to_string())),
        };
        let kind = assertion["type"].as_str().unwrap_or("without a type");
        let one = Held {
            which: Some(cut(&format!("asserts[{number}] {kind}"))),
            ..one
        };
        match one.holds {
            // One that cannot be decided decides all of it.
            None => return one,
            Some(false) if found.holds == Some(true) => found = one,
            Some(_) => {}
        }
    }
    found
}

/// A suite of one case and one assertion, whose answer is known.
fn report(
    question: &str,
    assertion: &Value,
    answer: &str,
    grader: Option<&dyn Grader>,
) -> Result<Report, SuiteError> {
    let value = json!({
        "prompts": ["{{question}}"],
        "providers": ["recorded"],
        "tests": [{"vars": {"question": question}, "assert": [assertion]}],
    });
    let suite = Suite::of("asserts", &value, &Files::embedded(&[]))?;
    let arm = Arm {
        name: "answer".to_owned(),
        release: None,
        providers: &Recorded(answer.to_owned()),
    };
    let options = Options {
        grader,
        ..Options::default()
    };
    run(&suite, &[arm], &options)
}

/// All cases have to be decided, of which there is one unless the question made more of it.
fn read(report: &Report) -> Held {
    let mut rows = report.arms.iter().flat_map(|arm| &arm.rows).peekable();
    if rows.peek().is_none() {
        return Held::undecided("nothing was asked");
    }
    let mut found = Held::sound();
    for row in rows {
        match row.outcome {
            Outcome::Passed => {}
            Outcome::Failed => {
                found = Held {
                    holds: Some(false),
                    why: cut(&row.reason),
                    ..found
                };
            }
            Outcome::Error | Outcome::Unsupported => return Held::undecided(cut(&row.reason)),
        }
    }
    found
}

fn cut(text: &str) -> String {
    text.chars().take(TOLD_CHARS_MAX).collect()
}

/// Says what was said.
#[derive(Clone, Debug)]
struct Recorded(String);

impl Provider for Recorded {
    fn answer(&self, _call: &Call<'_>) -> Result<Answer, Trouble> {
        Ok(Answer::text(self.0.clone()))
    }
}

impl Providers for Recorded {
    fn provider(&self, _spec: &ProviderSpec) -> Result<Box<dyn Provider>, Trouble> {
        Ok(Box::new(self.clone()))
    }
}

/// The line to who can ask a model.
struct Line<'a>(Mutex<&'a mut Post>);

impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

impl Grader for Line<'_> {
    fn ask(&self, system: &str, user: &str) -> Result<String, Trouble> {
        let mut post = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ask = Asserted::Ask {
            system: system.to_owned(),
            user: user.to_owned(),
        };
        let told = |error: LineError| Trouble::Wrong(error.to_string());
        post.tell(&ask).map_err(told)?;
        let graded: Graded = post.hear().map_err(told)?;
        graded
            .text
            .ok_or_else(|| Trouble::Wrong("the model that grades did not answer".to_owned()))
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f64>>, Trouble> {
        let mut post = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        let told = |error: LineError| Trouble::Wrong(error.to_string());
        post.tell(&Asserted::Place { texts }).map_err(told)?;
        match post.hear().map_err(told)? {
            Places::At(places) => Ok(places),
            Places::Nowhere(why) => Err(Trouble::Wrong(why)),
        }
    }
}
