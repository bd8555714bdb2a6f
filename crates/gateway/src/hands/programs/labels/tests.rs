use super::*;
use crate::config::InstarConfig;
use crate::hands::fixture;
use crate::hands::outputs::KeptOutputs;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use instar_config::StateDir;
use instar_protocol::time::SystemClock;
use instar_release::{AgentBehaviour, PromptFile, Skill};
use instar_store::{Options, Store};
use instar_tools::OutputsPort as _;
use instar_tools::exec::Order;
use instar_tools::files::{Change, FilesPort as _};
use std::collections::BTreeMap;
use std::path::PathBuf;

struct House {
    _folder: tempfile::TempDir,
    workspace: PathBuf,
    store: Store,
    files: WorkspaceFiles,
    programs: Programs,
    outputs: KeptOutputs,
    caller: Caller,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        let env = |name: &str| (name == "INSTAR_STATE_DIR").then(|| path.clone());
        let state = StateDir::locate(None, &env).unwrap();
        state.prepare().unwrap();
        let workspace = state.workspace("main");
        std::fs::create_dir_all(&workspace).unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let clock = Arc::new(SystemClock);
        let parts = fixture::parts(&store, InstarConfig::default(), state, clock.clone());
        let files = WorkspaceFiles::new(&parts);
        Self {
            _folder: folder,
            workspace,
            programs: Programs::new(&parts, files.clone()),
            files,
            outputs: KeptOutputs::new(store.clone(), clock),
            store,
            caller: fixture::owner(),
        }
    }

    async fn read(&self, name: &str) -> String {
        let read = self.files.read(&self.caller, name).await;
        written(&read.unwrap().label)
    }

    /// Puts one more letter into a file.
    async fn write(&self, name: &str) -> String {
        let path = self.workspace.join(name);
        let before = std::fs::read(&path).ok();
        let after = [before.as_deref().unwrap_or_default(), b"x"].concat();
        let change = Change {
            path: name.to_owned(),
            before: before.clone(),
            after: Some(after.clone()),
            label: Label::owner(),
        };
        let changed = self.files.change(&self.caller, vec![change]).await;
        let stands = if changed.is_ok() { Some(after) } else { before };
        assert_eq!(std::fs::read(&path).ok(), stands, "{name}: {changed:?}");
        word(changed.is_ok())
    }

    fn order() -> Order {
        Order {
            words: vec!["true".to_owned()],
            is_shell: false,
            folder: String::new(),
            environment: BTreeMap::new(),
            seconds: None,
            input: None,
            background: false,
        }
    }

    fn plan(&self, order: &Order) -> Result<Plan, ToolError> {
        let settings = self.programs.settings(&self.caller.agent)?;
        Plan::of(&settings, &self.caller.key, order)
    }

    async fn mark(&self) -> Result<Option<String>, ToolError> {
        let plan = self.plan(&Self::order())?;
        assert!(plan.writes());
        let label = Label::owner();
        self.programs.mark(&self.caller, &plan, &label).await
    }

    async fn marked(&self) -> String {
        word(self.mark().await.is_ok())
    }

    async fn listed(&self) -> String {
        let listed = self.files.list(&self.caller, "").await.unwrap();
        written(&listed.label)
    }

    async fn walked(&self) -> String {
        let walked = self.files.walk(&self.caller, "").await.unwrap();
        written(&walked.label)
    }

    async fn everything(&self) -> String {
        let agent = &self.caller.agent;
        written(&self.files.everything(agent, &Label::owner()).await)
    }

    /// A behaviour with one file, which was not there when a program began that runs.
    async fn adopted(&self) -> String {
        let mut agent = AgentBehaviour::default();
        let planted = PromptFile {
            text: "obey".to_owned(),
            cut_chars: 0,
        };
        let _none = agent.prompt.insert("SOUL.md".to_owned(), planted);
        let _none = agent.skills.insert("x".to_owned(), Skill::default());
        let mut behaviour = Behaviour::default();
        let _none = behaviour.agents.insert("main".to_owned(), agent);
        let taken = self.programs.leave_out_planted(&mut behaviour).await;
        let agent = &behaviour.agents["main"];
        match (agent.prompt.is_empty(), agent.skills.is_empty()) {
            (true, true) => "left out".to_owned(),
            (false, false) => word(taken.is_ok()),
            _ => "a half".to_owned(),
        }
    }
}

fn written(label: &Label) -> String {
    let word = if label.is_tainted() {
        "a stranger's"
    } else {
        "the owner's"
    };
    word.to_owned()
}

fn word(done: bool) -> String {
    if done { "done" } else { "refused" }.to_owned()
}

/// What is looked up, what comes of it while the store answers, and what when it does not.
type Row = (
    &'static str,
    for<'a> fn(&'a House) -> BoxFuture<'a, String>,
    &'static str,
    &'static str,
);

const OWN: &str = "the owner's";
const THEIRS: &str = "a stranger's";

const LOOK_UPS: [Row; 9] = [
    (
        "who wrote a file",
        |house| house.read("noted.txt").boxed(),
        OWN,
        THEIRS,
    ),
    (
        "who wrote what nobody noted",
        |house| house.read("own.txt").boxed(),
        OWN,
        THEIRS,
    ),
    (
        "who made the names in a folder",
        |house| house.listed().boxed(),
        OWN,
        THEIRS,
    ),
    (
        "who made the names below one",
        |house| house.walked().boxed(),
        OWN,
        THEIRS,
    ),
    (
        "what a program sees",
        |house| house.everything().boxed(),
        OWN,
        THEIRS,
    ),
    (
        "the record of a change",
        |house| house.write("own.txt").boxed(),
        "done",
        "refused",
    ),
    (
        "the record of a new file",
        |house| house.write("new.txt").boxed(),
        "done",
        "refused",
    ),
    (
        "the mark of a program",
        |house| house.marked().boxed(),
        "done",
        "refused",
    ),
    (
        "what programs planted",
        |house| house.adopted().boxed(),
        "left out",
        "refused",
    ),
];

#[tokio::test]
async fn b5_a_look_up_that_fails_closes() {
    let house = House::new();
    std::fs::write(house.workspace.join("own.txt"), "mine").unwrap();
    assert_eq!(house.write("noted.txt").await, "done");
    let label = Label::owner();
    let handle = house.outputs.keep(&house.caller, "kept".to_owned(), &label);
    let handle = handle.await.unwrap();
    assert!(house.outputs.kept(&house.caller, &handle).await.is_ok());
    for (what, look, open, _) in LOOK_UPS {
        assert_eq!(look(&house).await, open, "{what}");
    }
    let mark = house.mark().await.unwrap();
    std::fs::remove_file(house.workspace.join("new.txt")).unwrap();
    house.store.close().await.unwrap();
    for (what, look, _, closed) in LOOK_UPS {
        assert_eq!(look(&house).await, closed, "{what}, without a store");
    }
    assert!(house.outputs.kept(&house.caller, &handle).await.is_err());
    let about = About {
        command: String::new(),
        mark,
        label: Arc::default(),
    };
    assert!(house.programs.taint(&about, &label).await.is_err());
}

/// A program that makes more names than are looked at hides nothing among them: no other is run, and
/// what it planted does not count.
#[tokio::test]
async fn b5_a_folder_too_full_to_look_through_is_not_an_empty_one() {
    let house = House::new();
    let mark = house.mark().await.unwrap().unwrap();
    for number in 0..=20_000 {
        std::fs::write(house.workspace.join(format!("{number}")), "").unwrap();
    }
    std::fs::write(house.workspace.join("SOUL.md"), "obey").unwrap();
    let notes = Notes::default();
    let (agent, inner) = (&house.caller.agent, &house.programs.inner);
    settle(inner, agent, &mark, &notes).await.unwrap();
    let told = notes.take().join("; ");
    assert!(told.contains("does not count"), "{told}");
    assert_eq!(house.adopted().await, "left out");
    assert!(
        house.mark().await.is_err(),
        "nobody knows what would be open to it"
    );
    let order = House::order();
    let plan = house.plan(&order).unwrap();
    assert!(
        house
            .programs
            .job(&house.caller, &order, &plan)
            .await
            .is_err()
    );

    for number in 0..=20_000 {
        std::fs::remove_file(house.workspace.join(format!("{number}"))).unwrap();
    }
    house.programs.settle_left().await;
    assert!(
        !house.workspace.join("SOUL.md").exists(),
        "it was put aside"
    );
    assert!(house.mark().await.is_ok());
}
