//! The static checks, each broken on its own.

use crate::fixture::{behaviour, main_agent, skill};
use instar_release::skill::SKILLS_MAX;
use instar_release::{
    AGENTS_MAX, Behaviour, FALLBACKS_MAX, PROMPT_CHARS_MAX, PROMPT_FILES, PromptFile, ReleaseError,
    Skill, check,
};

fn fails(change: impl FnOnce(&mut Behaviour)) -> (&'static str, String) {
    let mut broken = behaviour("sound");
    change(&mut broken);
    match check(&broken) {
        Err(ReleaseError::Static { check, why }) => (check, why),
        other => panic!("{other:?}"),
    }
}

fn prompt(broken: &mut Behaviour, file: &str, text: String) {
    let file_of = PromptFile { text, cut_chars: 0 };
    main_agent(broken).prompt.insert(file.to_owned(), file_of);
}

#[test]
fn a_sound_behaviour_passes() {
    check(&behaviour("sound")).unwrap();
    let mut full = behaviour("");
    for file in PROMPT_FILES {
        prompt(
            &mut full,
            file,
            "ä".repeat(PROMPT_CHARS_MAX * 3 / PROMPT_FILES.len()),
        );
    }
    check(&full).unwrap();
}

#[test]
fn agents_are_few_and_well_named() {
    assert_eq!(fails(|broken| broken.agents.clear()).0, "agents");
    let many = fails(|broken| {
        let agent = broken.agents["main"].clone();
        broken
            .agents
            .extend((0..AGENTS_MAX).map(|n| (format!("a{n}"), agent.clone())));
    });
    assert_eq!(many.0, "agents");
    let named = fails(|broken| {
        let agent = broken.agents["main"].clone();
        broken.agents.insert("../x".to_owned(), agent);
    });
    assert_eq!(named.0, "agents");
}

#[test]
fn prompt_files_are_known_and_bounded() {
    let (check, why) = fails(|broken| prompt(broken, "EVIL\n.md", String::new()));
    assert_eq!(check, "file-names");
    assert!(!why.contains('\n'), "{why}");
    let long = fails(|broken| prompt(broken, "SOUL.md", "x".repeat(PROMPT_CHARS_MAX + 1)));
    assert_eq!(long.0, "size");
    let together = fails(|broken| {
        for file in PROMPT_FILES {
            prompt(broken, file, "x".repeat(PROMPT_CHARS_MAX / 2));
        }
    });
    assert_eq!(together.0, "size");
}

#[test]
fn routes_name_models() {
    assert_eq!(
        fails(|broken| main_agent(broken).route.primary.clear()).0,
        "route"
    );
    let bare = fails(|broken| main_agent(broken).route.primary = "gpt".to_owned());
    assert_eq!(bare.0, "route");
    let fallback = fails(|broken| main_agent(broken).route.fallbacks.push("a b/c".to_owned()));
    assert_eq!(fallback.0, "route");
    let many = fails(|broken| {
        main_agent(broken).route.fallbacks = vec!["a/b".to_owned(); FALLBACKS_MAX + 1];
    });
    assert_eq!(many.0, "route");
}

#[test]
fn skills_fit_and_hold_no_secret() {
    let tides = |text: &str| skill("tides", text);
    let with = |name: &str, skill: Skill| {
        fails(|broken| {
            main_agent(broken).skills.insert(name.to_owned(), skill);
        })
    };
    assert_eq!(with("moon", tides("x")).0, "skills");
    let (found, why) = with("tides", tides("sk-Zk3nQ8vT1xR7mP4wL9yB2cD6"));
    assert_eq!(found, "secrets");
    assert!(why.contains("agents.main.skills.tides, SKILL.md"), "{why}");
    let many = fails(|broken| {
        for number in 0..=SKILLS_MAX {
            let name = format!("n{number}");
            let skill = skill(&name, "x");
            main_agent(broken).skills.insert(name, skill);
        }
    });
    assert_eq!(many.0, "skills");
    let mut sound = behaviour("I am calm.");
    main_agent(&mut sound)
        .skills
        .insert("tides".to_owned(), tides("x"));
    check(&sound).unwrap();
}

/// Without skills a behaviour is the very bytes that it was before there were any.
#[test]
fn no_skills_stand_as_an_empty_list_and_others_by_name() {
    let mut one = behaviour("I am calm.");
    assert!(one.canonical().unwrap().contains("\"skills\":[]"));
    let read =
        |one: &Behaviour| -> Behaviour { serde_json::from_str(&one.canonical().unwrap()).unwrap() };
    assert_eq!(read(&one), one);
    let tides = skill("tides", "x");
    main_agent(&mut one)
        .skills
        .insert("tides".to_owned(), tides);
    assert_eq!(read(&one), one);
    let unknown = one
        .canonical()
        .unwrap()
        .replace("{\"tides\":", "[{\"tides\":");
    assert!(serde_json::from_str::<Behaviour>(&unknown).is_err());
}

#[test]
fn a_secret_is_refused_by_its_place_and_never_shown() {
    let random = "Zk3nQ8vT1xR7mP4wL9yB2cD6";
    for secret in [
        format!("sk-{random}"),
        format!("password: {random}"),
        format!("https://bob:{random}@example.org/"),
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{random}"),
    ] {
        let (check, why) =
            fails(|broken| prompt(broken, "USER.md", format!("hello\nthere\n{secret}\n")));
        assert_eq!(check, "secrets", "{secret}");
        assert!(
            why.contains("USER.md of main") && why.contains("line 3"),
            "{why}"
        );
        assert!(!why.contains("Zk3n"), "{why}");
    }
    let in_route = fails(|broken| main_agent(broken).route.primary = format!("x/sk-{random}"));
    assert_eq!(in_route.0, "secrets");
    assert!(!in_route.1.contains("Zk3n"));
}
