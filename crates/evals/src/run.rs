//! Running a suite.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Map, Value};

use crate::arithmetic;
use crate::assertion::{self, Facts};
use crate::bounds::{CASES_MAX, OUTPUT_BYTES_MAX, REPEAT_MAX};
use crate::cache::{self, Cache};
use crate::compare;
use crate::error::{SuiteError, Trouble};
use crate::files::wildcard;
use crate::provider::{Answer, Call, Grader, Provider, Providers, Scripts};
use crate::report::{ArmReport, Column, Flaky, Outcome, REPORT_VERSION, Report, Row};
use crate::score;
use crate::suite::{Case, Prompt, ProviderSpec, Suite};
use crate::template::{self, Vars};

/// One side of a run: who answers.
#[derive(Debug)]
pub struct Arm<'a> {
    pub name: String,
    pub release: Option<String>,
    pub providers: &'a dyn Providers,
}

/// How a suite is run.
pub struct Options<'a> {
    /// How often each case is asked; cases whose answers then differ in their outcome are flaky.
    pub repeat: u32,
    pub seed: u64,
    /// Cases that are asked at the same time.
    pub jobs: usize,
    pub grader: Option<&'a dyn Grader>,
    pub scripts: Option<&'a dyn Scripts>,
    pub cache: Option<&'a dyn Cache>,
    /// Told after each answer how many there are, of how many.
    pub progress: Option<&'a (dyn Fn(usize, usize) + Sync)>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            repeat: 1,
            seed: 0,
            jobs: 1,
            grader: None,
            scripts: None,
            cache: None,
            progress: None,
        }
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("repeat", &self.repeat)
            .field("seed", &self.seed)
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

/// Runs a suite over one arm, or over a candidate and its baseline, in this order.
pub fn run(suite: &Suite, arms: &[Arm<'_>], options: &Options<'_>) -> Result<Report, SuiteError> {
    if arms.is_empty() || arms.len() > 2 {
        return Err(SuiteError::Arms(arms.len()));
    }
    let plans = arms
        .iter()
        .map(|arm| Plan::of(suite, arm, options))
        .collect::<Result<Vec<_>, _>>()?;
    let total = plans.iter().map(|plan| plan.asks.len()).sum();
    let done = AtomicUsize::new(0);
    let tell = || {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(progress) = options.progress {
            progress(done, total);
        }
    };
    let arms: Vec<ArmReport> = plans.iter().map(|plan| plan.run(&tell)).collect();
    let flaky: Vec<Flaky> = arms.iter().flat_map(flaky).collect();
    let comparison = match arms.as_slice() {
        [candidate, baseline] => Some(compare::compare(candidate, baseline, &flaky)),
        _ => None,
    };
    Ok(Report {
        version: REPORT_VERSION,
        suite: suite.name.clone(),
        suite_digest: suite.digest.clone(),
        datasets: suite.datasets.clone(),
        seed: options.seed,
        repeat: options.repeat.clamp(1, REPEAT_MAX),
        arms,
        comparison,
        flaky,
    })
}

/// Cases whose repetitions did not agree.
fn flaky(arm: &ArmReport) -> Vec<Flaky> {
    let mut seen: BTreeMap<(usize, usize), (u32, u32, &str)> = BTreeMap::new();
    for row in &arm.rows {
        let entry = seen.entry(row.key()).or_insert((0, 0, &row.name));
        entry.0 += u32::from(row.outcome == Outcome::Passed);
        entry.1 += 1;
    }
    seen.into_iter()
        .filter(|(_, (passed, of, _))| *passed > 0 && passed < of)
        .map(|((case, column), (passed, of, name))| Flaky {
            arm: arm.name.clone(),
            case,
            column,
            name: name.to_owned(),
            passed,
            of,
        })
        .collect()
}

/// A prompt and who is asked it.
struct Pairing<'a> {
    spec: &'a ProviderSpec,
    provider: Result<&'a dyn Provider, Trouble>,
    prompt: &'a Prompt,
}

/// All that one arm is asked.
struct Plan<'a> {
    suite: &'a Suite,
    arm: &'a Arm<'a>,
    options: &'a Options<'a>,
    providers: Vec<Result<Box<dyn Provider>, Trouble>>,
    /// Case, column and repetition, in the order of the report.
    asks: Vec<(usize, usize, u32)>,
    /// For each column, its provider and its prompt by place.
    columns: Vec<(usize, usize)>,
}

impl<'a> Plan<'a> {
    fn of(
        suite: &'a Suite,
        arm: &'a Arm<'a>,
        options: &'a Options<'a>,
    ) -> Result<Self, SuiteError> {
        let providers = suite
            .providers
            .iter()
            .map(|spec| arm.providers.provider(spec))
            .collect();
        let mut columns = Vec::new();
        for (at, spec) in suite.providers.iter().enumerate() {
            for (place, prompt) in suite.prompts.iter().enumerate() {
                if allows(spec.prompts.as_deref(), prompt) {
                    columns.push((at, place));
                }
            }
        }
        let mut asks = Vec::new();
        for case in &suite.cases {
            let repeat = case.repeat.unwrap_or(options.repeat).clamp(1, REPEAT_MAX);
            for repeat in 0..repeat {
                for (column, (provider, prompt)) in columns.iter().enumerate() {
                    let wanted = case.providers.as_ref().is_none_or(|names| {
                        let spec = &suite.providers[*provider];
                        let named = |name: &String| {
                            [Some(spec.id.as_str()), spec.label.as_deref()]
                                .into_iter()
                                .flatten()
                                .any(|id| fits(name, id))
                        };
                        names.iter().any(named)
                    });
                    if wanted && allows(case.prompts.as_deref(), &suite.prompts[*prompt]) {
                        asks.push((case.index, column, repeat));
                    }
                }
            }
            if asks.len() > CASES_MAX {
                let problem = format!("more than {CASES_MAX} answers would be asked for");
                return Err(SuiteError::content("tests", problem));
            }
        }
        Ok(Self {
            suite,
            arm,
            options,
            providers,
            asks,
            columns,
        })
    }

    /// A case, and where it is asked in several ways, in which.
    fn named(&self, case: &Case, column: usize) -> String {
        const CHARS_MAX: usize = 40;
        let (provider, prompt) = self.columns[column];
        let differ = |of: fn(&(usize, usize)) -> usize| {
            self.columns
                .iter()
                .any(|other| of(other) != of(&self.columns[column]))
        };
        let spec = &self.suite.providers[provider];
        let by = differ(|one| one.0).then(|| spec.label.as_ref().unwrap_or(&spec.id));
        let of = differ(|one| one.1).then(|| &self.suite.prompts[prompt].label);
        let mut name = case.name();
        for part in of.into_iter().chain(by) {
            let line = part.lines().next().unwrap_or_default();
            let cut: String = line.chars().take(CHARS_MAX).collect();
            name.push_str(&format!(" [{cut}]"));
        }
        name
    }

    fn pairing(&self, column: usize) -> Pairing<'_> {
        let (provider, prompt) = self.columns[column];
        Pairing {
            spec: &self.suite.providers[provider],
            provider: match &self.providers[provider] {
                Ok(provider) => Ok(&**provider),
                Err(trouble) => Err(trouble.clone()),
            },
            prompt: &self.suite.prompts[prompt],
        }
    }

    fn run(&self, tell: &(dyn Fn() + Sync)) -> ArmReport {
        let jobs = self.options.jobs.clamp(1, 64).min(self.asks.len().max(1));
        let rows: Vec<Row> = if jobs == 1 {
            let each = self.asks.iter().map(|ask| {
                let row = self.row(*ask);
                tell();
                row
            });
            each.collect()
        } else {
            self.side_by_side(jobs, tell)
        };
        let columns = self.sums(&rows);
        ArmReport {
            name: self.arm.name.clone(),
            release: self.arm.release.clone(),
            columns,
            rows,
        }
    }

    fn side_by_side(&self, jobs: usize, tell: &(dyn Fn() + Sync)) -> Vec<Row> {
        let next = AtomicUsize::new(0);
        let rows: Mutex<BTreeMap<usize, Row>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(ask) = self.asks.get(at) else {
                            return;
                        };
                        let row = self.row(*ask);
                        rows.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .insert(at, row);
                        tell();
                    }
                });
            }
        });
        let rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
        rows.into_values().collect()
    }

    fn row(&self, (case, column, repeat): (usize, usize, u32)) -> Row {
        let case = &self.suite.cases[case];
        let pairing = self.pairing(column);
        let mut row = Row {
            case: case.index,
            column,
            repeat,
            name: self.named(case, column),
            outcome: Outcome::Error,
            score: 0.0,
            reason: String::new(),
            vars: case.vars.clone(),
            prompt: String::new(),
            output: Value::Null,
            named: BTreeMap::new(),
            named_weights: BTreeMap::new(),
            checks: Vec::new(),
            steps: None,
            metadata: Map::new(),
            tokens: crate::provider::Tokens::default(),
            cost: None,
            latency_ms: 0.0,
            cached: false,
        };
        if let Err(trouble) = self.fill(case, &pairing, repeat, &mut row) {
            row.outcome = match trouble {
                Trouble::Wrong(_) => Outcome::Error,
                Trouble::Unsupported(_) => Outcome::Unsupported,
            };
            row.score = 0.0;
            row.named.clear();
            row.reason = trouble.to_string();
        }
        row
    }

    fn fill(
        &self,
        case: &Case,
        pairing: &Pairing<'_>,
        repeat: u32,
        row: &mut Row,
    ) -> Result<(), Trouble> {
        if let Some(what) = &case.unsupported {
            return Trouble::unsupported(what.as_str());
        }
        let raw = format!("{}{}{}", case.prefix, pairing.prompt.raw, case.suffix);
        let (prompt, vars) = template::prompt(&raw, &self.with_env(&case.vars))?;
        row.prompt.clone_from(&prompt);
        row.vars = vars.clone();
        row.vars.shift_remove("env");
        let call = Call {
            prompt: &prompt,
            vars: &row.vars.clone(),
            case,
            provider: pairing.spec,
            repeat,
            seed: seed_of(self.options.seed, case.index, repeat),
        };
        let (answer, latency_ms) = self.answer(&call, pairing)?;
        let mut output = answer.output.clone();
        for source in [&pairing.spec.transform, &case.transform]
            .into_iter()
            .flatten()
        {
            output = assertion::transform(source, &output, &vars, &prompt)?;
        }
        row.output.clone_from(&output);
        row.steps.clone_from(&answer.steps);
        row.metadata.clone_from(&answer.metadata);
        row.tokens = answer.tokens;
        row.cost = answer.cost;
        row.cached = answer.cached;
        row.latency_ms = latency_ms;
        if output.is_null() {
            row.outcome = Outcome::Failed;
            "there is no answer".clone_into(&mut row.reason);
            return Ok(());
        }
        let facts = Facts {
            answer: &answer,
            output: &output,
            prompt: &prompt,
            vars: &vars,
            config: &pairing.spec.config,
            latency_ms: (!answer.cached).then_some(latency_ms),
            grader: self.options.grader,
            scripts: self.options.scripts,
        };
        let scored = score::all(&case.checks, case.threshold, &facts)?;
        row.outcome = if scored.pass {
            Outcome::Passed
        } else {
            Outcome::Failed
        };
        row.score = scored.score;
        row.reason = scored.reason;
        row.named = scored.named;
        row.checks = scored.checks;
        row.named_weights = scored.named_weights;
        Ok(())
    }

    /// Templates see what the suite sets under `env`, and nothing of the environment.
    fn with_env(&self, vars: &Vars) -> Vars {
        let mut vars = vars.clone();
        if !self.suite.env.is_empty() && !vars.contains_key("env") {
            vars.insert("env".to_owned(), Value::Object(self.suite.env.clone()));
        }
        vars
    }

    fn answer(&self, call: &Call<'_>, pairing: &Pairing<'_>) -> Result<(Answer, f64), Trouble> {
        if let Some(output) = &call.case.output {
            return Ok((
                Answer {
                    output: output.clone(),
                    ..Answer::default()
                },
                0.0,
            ));
        }
        let provider = pairing.provider.clone()?;
        let kept = self.options.cache.filter(|_| provider.keeps());
        let key = kept.map(|_| cache::key(self.arm.release.as_deref(), call));
        if let (Some(cache), Some(key)) = (kept, &key)
            && let Some(answer) = cache.get(key)
        {
            return Ok((
                Answer {
                    cached: true,
                    ..answer
                },
                0.0,
            ));
        }
        let began = Instant::now();
        let answer = provider.answer(call)?;
        let took = began.elapsed().as_secs_f64() * 1000.0;
        if answer.output.to_string().len() > OUTPUT_BYTES_MAX {
            return Trouble::wrong(format!(
                "the answer is longer than {OUTPUT_BYTES_MAX} bytes"
            ));
        }
        if let (Some(cache), Some(key)) = (kept, &key) {
            cache.put(key, &answer);
        }
        let took = answer.latency_ms.unwrap_or(took);
        Ok((answer, took))
    }

    fn sums(&self, rows: &[Row]) -> Vec<Column> {
        let mut columns: Vec<Column> = (0..self.columns.len())
            .map(|at| {
                let pairing = self.pairing(at);
                Column {
                    provider: pairing.spec.shown().to_owned(),
                    prompt: pairing.prompt.raw.clone(),
                    label: pairing.prompt.label.clone(),
                    ..Column::default()
                }
            })
            .collect();
        let mut counts = vec![0_u32; columns.len()];
        for row in rows {
            counts[row.column] += 1;
            columns[row.column].add(row);
        }
        for (column, count) in columns.iter_mut().zip(counts) {
            self.derive(column, count);
        }
        columns
    }

    fn derive(&self, column: &mut Column, count: u32) {
        if self.suite.derived.is_empty() {
            return;
        }
        let mut names = column.named.clone();
        names.insert("__count".to_owned(), f64::from(count));
        for derived in &self.suite.derived {
            match arithmetic::evaluate(&derived.formula, &names) {
                Ok(value) => {
                    names.insert(derived.name.clone(), value);
                    column.named.insert(derived.name.clone(), value);
                }
                Err(problem) => {
                    column.not_derived.insert(derived.name.clone(), problem);
                }
            }
        }
    }
}

impl Column {
    fn add(&mut self, row: &Row) {
        self.score += row.score;
        match row.outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Error | Outcome::Unsupported => self.errors += 1,
        }
        let passed = row.checks.iter().filter(|check| check.verdict.pass).count();
        self.checks_passed += passed;
        self.checks_failed += row.checks.len() - passed;
        for (name, score) in &row.named {
            let weight = row.named_weights.get(name).copied().unwrap_or(1.0);
            *self.named.entry(name.clone()).or_default() += score * weight;
            *self.named_weights.entry(name.clone()).or_default() += weight;
        }
        self.cost += row.cost.unwrap_or_default();
        self.latency_ms += row.latency_ms;
        self.tokens.prompt += row.tokens.prompt;
        self.tokens.completion += row.tokens.completion;
    }
}

/// True if a prompt is among those that are named, by its label, its id, or the group before a colon.
fn allows(names: Option<&[String]>, prompt: &Prompt) -> bool {
    let known = [Some(prompt.label.as_str()), prompt.id.as_deref()];
    names.is_none_or(|names| {
        names
            .iter()
            .any(|name| known.into_iter().flatten().any(|id| fits(name, id)))
    })
}

fn fits(name: &str, id: &str) -> bool {
    name == id
        || wildcard(name, id)
        || id
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(':'))
}

/// A seed for each case and repetition, from the one of the run.
fn seed_of(seed: u64, case: usize, repeat: u32) -> u64 {
    let mut mixed =
        seed ^ (case as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (u64::from(repeat) << 40);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
